use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt as _;

use proptest::prelude::*;

use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| if word == "''" { "" } else { word }.into())
        .collect()
}

/// Runs a table whose lines are `words => what is found`.
fn check(table: &str, read: impl Fn(&[OsString]) -> Result<String, ArgumentError>) {
    let mut count = 0;
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (command, expected) = line.split_once("=> ").expect("a line has an arrow");
        let found = read(&words(command)).unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(found, expected, "{command}");
        count += 1;
    }
    assert!(10 < count);
}

fn push_trust(text: &mut String, disabled: Option<bool>) {
    if let Some(disabled) = disabled {
        text.push_str(if disabled { " trust=off" } else { " trust=on" });
    }
}

#[test]
fn containers() {
    check(include_str!("../../../testdata/docker/arguments/container.txt"), |words| {
        let (verb, rest) = words.split_first().expect("a verb");
        let verb = if verb == "run" { Verb::Run } else { Verb::Create };
        let Some(found) = image_argument(&verb.flags(), rest)? else { return Ok("help".to_owned()) };
        let mut text = format!("{} {}", found.index, found.image);
        if let Some(platform) = &found.platform {
            let _ = write!(text, " platform={platform}");
        }
        match found.pull {
            PullPolicy::Always => text.push_str(" pull=always"),
            PullPolicy::Missing => {}
            PullPolicy::Never => text.push_str(" pull=never"),
        }
        if found.quiet {
            text.push_str(" quiet");
        }
        for mount in &found.mounted {
            let _ = write!(text, " mounted={}", mount.image);
        }
        push_trust(&mut text, found.disable_content_trust);
        Ok(text)
    });
}

#[test]
fn builds() {
    check(include_str!("../../../testdata/docker/arguments/build.txt"), |words| {
        let Some(found) = BuildArguments::parse(&BuildArguments::known_flags(), words)? else {
            return Ok("help".to_owned());
        };
        Ok(summary(&found))
    });
}

/// What `builds` compares.
fn summary(found: &BuildArguments) -> String {
    let mut parts = vec![format!("context={}", found.context.display())];
    let mut named = |name: &str, values: Vec<String>| {
        parts.extend(values.iter().map(|value| format!("{name}={value}")));
    };
    named("tag", found.tags.clone());
    named("file", found.file.iter().map(|file| file.display().to_string()).collect());
    let argument = |(name, value): &(String, Option<String>)| match value {
        Some(value) => format!("{name}={value}"),
        None => name.clone(),
    };
    named("arg", found.build_args.iter().map(argument).collect());
    named("named", found.build_contexts.iter().map(|(name, value)| format!("{name}={value}")).collect());
    named("target", found.target.iter().cloned().collect());
    named("platform", found.platforms.clone());
    named("metadata", found.metadata_file.iter().map(|file| file.display().to_string()).collect());
    named("iid", found.image_id_file.iter().map(|file| file.display().to_string()).collect());
    named("builder", found.builder.iter().cloned().collect());
    named("secret", found.secrets.clone());
    named("cache", found.cache_from.clone());
    named("attest", found.attestations.iter().map(|(name, value)| format!("{name}:{value}")).collect());
    let output = |output: &BuildOutput| {
        let attributes = output.attributes.iter().map(|(key, value)| format!(":{key}={value}"));
        format!("{}{}", output.kind, attributes.collect::<String>())
    };
    named("output", found.outputs.iter().map(output).collect());
    let marks = [
        ("push", found.push),
        ("load", found.load),
        ("quiet", found.quiet),
        ("pull", found.pull),
        ("check", found.only_checks),
        ("pushes", found.pushes()),
        ("by-digest", found.outputs.iter().any(BuildOutput::by_digest)),
    ];
    let mut text = parts.join(" ");
    for (mark, _) in marks.iter().filter(|(_, set)| *set) {
        let _ = write!(text, " {mark}");
    }
    push_trust(&mut text, found.disable_content_trust);
    text
}

#[test]
fn transfers() {
    check(include_str!("../../../testdata/docker/arguments/transfer.txt"), |words| {
        let (verb, rest) = words.split_first().expect("a verb");
        let verb = if verb == "pull" { "pull" } else { "push" };
        let Some(found) = TransferArguments::parse(verb, rest)? else { return Ok("help".to_owned()) };
        let TransferArguments { image, all_tags, platform, quiet, disable_content_trust: trust } = found;
        let mut text = image;
        if all_tags {
            text.push_str(" all");
        }
        if let Some(platform) = platform {
            let _ = write!(text, " platform={platform}");
        }
        if quiet {
            text.push_str(" quiet");
        }
        push_trust(&mut text, trust);
        Ok(text)
    });
}

#[test]
fn the_image_is_replaced_and_the_switch_taken_out() {
    let arguments = words("-it --disable-content-trust=false -e A=1 acme/web sh --disable-content-trust");
    let found = image_argument(&Verb::Run.flags(), &arguments).unwrap().unwrap();
    let replaced = found.with_image(&arguments, "acme/web@sha256:00".as_ref());
    assert_eq!(replaced, words("-it -e A=1 acme/web@sha256:00 sh --disable-content-trust"));
}

#[test]
fn mounted_images_are_replaced() {
    let line = "--mount type=image,\"src=a\",dst=/a --mount type=bind,src=/x,dst=/x \
        --mount=dst=/b,Source=b,TYPE=Image,\"image-subpath=c,d\" -i web sh";
    let arguments = words(line);
    let found = image_argument(&Verb::Run.flags(), &arguments).unwrap().unwrap();
    let mounted: Vec<String> = found.mounted.iter().map(|mount| format!("{}@pinned", mount.image)).collect();
    let expected = "--mount=type=image,dst=/a,source=a@pinned --mount type=bind,src=/x,dst=/x \
        --mount=dst=/b,TYPE=Image,\"image-subpath=c,d\",source=b@pinned -i web@pinned sh";
    assert_eq!(found.with_images(&arguments, "web@pinned".as_ref(), &mounted), words(expected));
    assert_eq!(found.with_image(&arguments, "web".as_ref()), arguments);
}

#[test]
fn a_build_is_written_again_without_some_flags() {
    let arguments = words("-qt a --tag b . --push -f x --build-arg=C");
    let found = BuildArguments::parse(&BuildArguments::known_flags(), &arguments).unwrap().unwrap();
    assert_eq!(found.flags_without(&["tag", "push"]), words("--quiet=true --file=x --build-arg=C"));
}

#[test]
fn help_texts_teach_new_flags() {
    let help = "Options:\n\
        \x20     --new-list list      New (default [])\n\
        \x20 -Z, --new-switch         Switch it\n\
        \x20     --last\n\
        \x20     --quoted thing       A switch whose text has `thing` in it\n\
        \x20     --optional string[=\"x\"]   Value only behind =\n\
        \x20     --rm list            Known better\n\
        \x20 -e, --environment string Its short form is taken\n";
    let flags = Verb::Run.flags().with_help(help);
    let index = |line: &str| image_argument(&flags, &words(line)).map(|found| found.map(|found| found.index));
    assert_eq!(index("--new-list x alpine"), Ok(Some(2)));
    assert_eq!(index("-iZ --new-switch --last alpine"), Ok(Some(3)));
    assert_eq!(index("--rm alpine"), Ok(Some(1)));
    for unknown in ["--quoted x alpine", "--optional x alpine", "--environment x alpine"] {
        assert!(matches!(index(unknown), Err(ArgumentError::UnknownFlag { .. })), "{unknown}");
    }
}

#[test]
fn words_that_are_no_text_pass_where_they_can() {
    let arguments =
        |words: &[&[u8]]| words.iter().map(|word| OsString::from_vec(word.to_vec())).collect::<Vec<_>>();
    let found =
        image_argument(&Verb::Run.flags(), &arguments(&[b"-v", b"/\xff:/x", b"-e\xff", b"alpine", b"\xff"]));
    assert_eq!(found.unwrap().unwrap().index, 3);
    let refused = image_argument(&Verb::Run.flags(), &arguments(&[b"alp\xffine"]));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "`alp\u{fffd}ine` is not a value of `--image`: it is not UTF-8"
    );
    let refused = image_argument(&Verb::Run.flags(), &arguments(&[b"--\x1b[2J\xff"]));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "`docker run` has no flag `--\\u{1b}[2J\u{fffd}` that is known here"
    );
}

#[test]
fn endless_command_lines_are_refused() {
    let arguments = vec![OsString::from("-i"); 65_537];
    assert!(matches!(image_argument(&Verb::Run.flags(), &arguments), Err(ArgumentError::TooMany { .. })));
}

/// Flags as one could write them before the image, each in all of its forms.
fn flag() -> impl Strategy<Value = Vec<String>> {
    let value = "[a-z/=:,-]{1,6}";
    prop_oneof![
        proptest::sample::select(vec!["-i", "-t", "-it", "-P", "--rm", "--init", "--init=false", "-i=0"])
            .prop_map(|switch| vec![switch.to_owned()]),
        (proptest::sample::select(vec!["name", "env", "volume", "network", "net"]), value)
            .prop_map(|(name, value)| vec![format!("--{name}={value}")]),
        (proptest::sample::select(vec!["--name", "-e", "-itv", "--net", "--dns-opt"]), value)
            .prop_map(|(name, value)| vec![name.to_owned(), value]),
        (proptest::sample::select(vec!["-e", "-itv", "-u"]), "[a-z/]{1,6}")
            .prop_map(|(name, value)| vec![format!("{name}{value}")]),
    ]
}

proptest! {
    #[test]
    fn the_image_is_the_first_operand(
        flags in proptest::collection::vec(flag(), 0..8),
        dashes in any::<bool>(),
        command in proptest::collection::vec("[ -~]{0,6}", 0..4),
    ) {
        let mut arguments: Vec<OsString> = flags.concat().iter().map(OsString::from).collect();
        if dashes {
            arguments.push("--".into());
        }
        let image = arguments.len();
        arguments.push("acme/web:1".into());
        arguments.extend(command.iter().map(OsString::from));
        let found = image_argument(&Verb::Run.flags(), &arguments).unwrap().unwrap();
        prop_assert_eq!(found.index, image);
        prop_assert_eq!(found.with_image(&arguments, "acme/web:1".as_ref()), arguments);
    }

    #[test]
    fn no_command_line_panics(arguments in proptest::collection::vec("[-=a-z \",]{0,8}", 0..8)) {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        let _ = image_argument(&Verb::Run.flags(), &arguments);
        let _ = BuildArguments::parse(&BuildArguments::known_flags(), &arguments);
        let _ = TransferArguments::parse("pull", &arguments);
    }
}
