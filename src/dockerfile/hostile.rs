//! Bad input, and random input: clear errors, bounded time, no panic, and edits that change
//! nothing but what they name.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::rules::keeps_its_rules;
use super::word::EXPANSION_LIMIT;
use super::*;
use crate::image::Digest;

fn inputs() -> BuildInputs {
    BuildInputs::for_platform(Platform::new("linux", "amd64", ""))
}

fn problem(source: &[u8]) -> DockerfileErrorKind {
    let read = || Dockerfile::parse(source)?.image_uses(&inputs());
    read().expect_err("an error").kind
}

const PIECES: &[&str] = &[
    "FROM ",
    "FROM a\n",
    "FROM alpine:3",
    " AS b",
    "\n",
    "\n",
    "\r\n",
    "\\\n",
    "`\n",
    "\\",
    "`",
    " ",
    "\t",
    "\"",
    "'",
    "$X",
    "${X}",
    "${",
    "}",
    ":-",
    "-",
    ":+",
    ":?",
    "#",
    "##",
    "%",
    "/",
    "//",
    "ARG X=1\n",
    "ARG Y=$X\n",
    "ARG X\n",
    "ARG IMG=node:20\n",
    "$IMG",
    "${IMG}-slim",
    "node:${X}-a",
    "a:$Y",
    "${Y:-b:1}",
    "COPY --from=b / /\n",
    "COPY --from=",
    "COPY --from=img:1 ",
    "x y\n",
    "RUN --mount=type=bind,from=",
    "RUN ",
    "--mount=from=c,target=/c ",
    "ONBUILD ",
    "<<EOF",
    "<<-E",
    "\nEOF\n",
    "\nE\n",
    "EOF",
    "# escape=`\n",
    "# syntax=x\n",
    "# c\n",
    "  # c\n",
    "\u{feff}",
    "\u{a0}",
    "é",
    "@sha256:",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "[",
    "]",
    "\"x\"",
    ",",
    "=",
    "--",
    "scratch",
    "b",
    "B",
    "0",
    "1",
    "ENV A=1\n",
    "LABEL a=b\n",
    "--platform=$TARGETPLATFORM ",
];

const LINES: &[&str] = &[
    "FROM $IMG\n",
    "FROM node:${X} AS c\n",
    "FROM node:${X}-slim\n",
    "FROM b\n",
    "FROM \"busybox\"\r\n",
    "FROM alp\\\nine:3\n",
    "FROM ${Y:-img:2}\n",
    "FROM img@sha256:0000000000000000000000000000000000000000000000000000000000000000\n",
    "FROM scratch\n",
    "COPY --from=b / /\n",
    "COPY --link --from='img:1' / /\n",
    "COPY --from=\"im\"g [\"a\", \"b\"]\n",
    "RUN --mount=type=bind,from=img,target=/x \\\n  # comment\n  make\n",
    "RUN --mount=\"from=c:1\" --mount=target=/c,from=b x\n",
    "RUN <<EOF\nFROM hidden\nEOF\n",
    "ONBUILD COPY --from=img:1 / /\n",
    "ONBUILD RUN --mount=from=img x\n",
    "ARG X\n",
    "RUN echo ${X:-y} \\\n\n  é\n",
    "# comment\n",
    "\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_mixes_keep_the_rules(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let source = pieces.concat();
        prop_assert_eq!(keeps_its_rules(source.as_bytes()), Ok(()), "{:?}", source);
    }

    #[test]
    fn random_lines_keep_the_rules(
        args in prop::collection::vec("ARG [XYZ]=[ab$XYZ{}:-]{0,8}\n", 0..4),
        froms in prop::collection::vec("FROM [ab$XYZ:{}/+\"'-]{1,14}( AS [xy])?\n(ARG [XY]\n)?(COPY --from=[abxy0-1] / /\n)?", 1..4),
    ) {
        let source = args.concat() + &froms.concat();
        prop_assert_eq!(keeps_its_rules(source.as_bytes()), Ok(()), "{:?}", source);
    }

    #[test]
    fn damaged_files_keep_the_rules(
        lines in prop::collection::vec(prop::sample::select(LINES), 0..12),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(PIECES)), 0..4),
    ) {
        let mut source = "ARG X=1\nARG IMG=node:20\nFROM alpine:3 AS b\n".to_owned() + &lines.concat();
        for (place, piece) in damage {
            let places: Vec<usize> = source.char_indices().map(|(at, _)| at).collect();
            source.insert_str(*place.get(&places), piece);
        }
        prop_assert_eq!(keeps_its_rules(source.as_bytes()), Ok(()), "{:?}", source);
    }

    #[test]
    fn random_bytes_do_not_panic(source in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(keeps_its_rules(&source), Ok(()));
        let _ = detect_syntax(&source);
        let _ = onbuild_uses(&String::from_utf8_lossy(&source));
    }
}

#[test]
fn huge_files_are_refused() {
    assert_eq!(problem(&vec![b'\n'; 100 << 20]), DockerfileErrorKind::TooLarge { limit: SOURCE_LIMIT });
    let blanks = " ".repeat(65_535) + "\n";
    let source = blanks.repeat(SOURCE_LIMIT / blanks.len());
    assert_eq!(problem(source.as_bytes()), DockerfileErrorKind::NoInstructions);
}

#[test]
fn long_lines_are_refused_where_buildkit_refuses_them() {
    let line = |length: usize| format!("FROM a\nRUN {}\n", "x".repeat(length - 4));
    assert!(Dockerfile::parse(line(65_535).as_bytes()).is_ok());
    assert_eq!(problem(line(65_536).as_bytes()), DockerfileErrorKind::LineTooLong { limit: 65_535 });
    let body = format!("FROM a\nRUN <<E\n{}\nE\n", "x".repeat(65_536));
    assert_eq!(problem(body.as_bytes()), DockerfileErrorKind::LineTooLong { limit: 65_535 });
}

#[test]
fn an_endless_continuation_ends_with_the_file() {
    let source = "FROM a\nRUN x \\\n".to_owned() + &"y \\\n".repeat(200_000);
    let started = Instant::now();
    let file = Dockerfile::parse(source.as_bytes()).expect("a Dockerfile");
    assert_eq!(file.image_uses(&inputs()).map(|uses| uses.len()), Ok(1));
    bounded(started);
    let word = "FROM a".to_owned() + &"\\\n".repeat(200_000);
    assert_eq!(keeps_its_rules(word.as_bytes()), Ok(()));
}

#[test]
fn ten_thousand_stages_work() {
    use std::fmt::Write as _;
    let mut source = String::from("ARG V=1\n");
    for stage in 0..10_000 {
        let base = match stage % 4 {
            0 => format!("image{stage}:$V"),
            1 => format!("image{stage}:1"),
            _ => format!("s{}", stage - 1),
        };
        let _ = write!(
            source,
            "FROM {base} AS s{stage}\nCOPY --from=img{stage} / /\nONBUILD COPY --from=s1 / /\n"
        );
    }
    let started = Instant::now();
    let file = Dockerfile::parse(source.as_bytes()).expect("a Dockerfile");
    let uses = file.image_uses(&inputs()).expect("its uses");
    assert_eq!(uses.len(), 30_000);
    let pins: Vec<(usize, Digest)> = (0..uses.len()).map(|index| (index, Digest::of(b"x"))).collect();
    let plan = pin_edits(&file, &inputs(), &pins).expect("a plan");
    assert_eq!(plan.edits.len(), 12_500);
    bounded(started);
}

#[test]
fn many_stages_of_one_argument_are_pinned() {
    const STAGES: usize = 2_000;
    for (word, edits) in [("node:$V", 1), ("node:${V}-slim", STAGES + 2)] {
        let source = "ARG V=1\n".to_owned() + &format!("FROM {word}\n").repeat(STAGES);
        let started = Instant::now();
        let file = Dockerfile::parse(source.as_bytes()).expect("a Dockerfile");
        let pins: Vec<(usize, Digest)> = (0..STAGES).map(|index| (index, Digest::of(b"x"))).collect();
        let plan = pin_edits(&file, &inputs(), &pins).expect("a plan");
        assert_eq!((plan.edits.len(), plan.unpinnable.len()), (edits, 0), "{word}");
        let in_stage = source + "ARG V\n";
        let file = Dockerfile::parse(in_stage.as_bytes()).expect("a Dockerfile");
        let plan = pin_edits(&file, &inputs(), &pins).expect("a plan");
        assert_eq!((plan.edits.len(), plan.unpinnable.len()), (0, STAGES), "{word}");
        bounded(started);
    }
}

#[test]
fn many_children_of_many_triggers_stay_cheap() {
    let triggers = "ONBUILD COPY --from=x / /\n".repeat(20_000);
    let children = "FROM base\n".repeat(20_000);
    let chain = "FROM scratch AS x\nFROM a AS base\n".to_owned() + &triggers + &children + "FROM scratch\n";
    let copies: Vec<String> = (2..20_002).map(|stage| format!("COPY --from={stage} / /\n")).collect();
    let started = Instant::now();
    let file = Dockerfile::parse((chain + &copies.concat()).as_bytes()).expect("a Dockerfile");
    assert!(file.image_uses(&inputs()).expect("its uses").iter().all(|one| one.reachable));
    bounded(started);
}

#[test]
fn too_many_names_are_refused() {
    let source = "FROM a\n".to_owned() + &"FROM b\n".repeat(100_000);
    assert_eq!(problem(source.as_bytes()), DockerfileErrorKind::TooManyNames { limit: 100_000 });
}

#[test]
fn growing_arguments_are_refused() {
    let source = "ARG A=0123456789\n".to_owned() + &"ARG A=$A$A\n".repeat(64) + "FROM a:$A\n";
    let kind = problem(source.as_bytes());
    assert_eq!(kind, DockerfileErrorKind::Word(WordError::TooLarge { limit: EXPANSION_LIMIT }));
    let many = format!("ARG A={}\n", "x".repeat(60_000)) + &"FROM a:$A\n".repeat(1_000);
    assert_eq!(
        problem(many.as_bytes()),
        DockerfileErrorKind::Word(WordError::TooLarge { limit: EXPANSION_LIMIT })
    );
}

#[test]
fn growing_defaults_cannot_be_pinned_by_substitution() {
    use std::fmt::Write as _;
    let letters = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N"];
    let mut source = String::from("ARG A=x\n");
    for pair in letters.windows(2) {
        let [from, to] = pair else { continue };
        let _ = writeln!(source, "ARG {to}=${from}${from}");
    }
    source += "FROM a:1${N}-x\n";
    let started = Instant::now();
    assert_eq!(keeps_its_rules(source.as_bytes()), Ok(()));
    bounded(started);
}

#[test]
fn a_long_chain_of_arguments_does_not_overflow_the_stack() {
    use std::fmt::Write as _;
    let mut source = String::from("ARG A0=alpine:3\n");
    for index in 1..30_000 {
        let _ = writeln!(source, "ARG A{index}=$A{}", index - 1);
    }
    source += "FROM $A29999\n";
    let file = Dockerfile::parse(source.as_bytes()).expect("a Dockerfile");
    let uses = file.image_uses(&inputs()).expect("its uses");
    assert_eq!(uses[0].written, "alpine:3");
}

#[test]
fn deep_words_are_refused() {
    let word = format!("FROM {}a{}\n", "${X:-".repeat(10_000), "}".repeat(10_000));
    assert!(matches!(problem(word.as_bytes()), DockerfileErrorKind::Word(WordError::Nesting { .. })));
    let run = format!("FROM a\nRUN {} <<EOF\n", "${X:-".repeat(10_000));
    assert!(matches!(problem(run.as_bytes()), DockerfileErrorKind::Word(WordError::Nesting { .. })));
    let json = format!("FROM a\nRUN {}\n", "[".repeat(60_000));
    assert!(Dockerfile::parse(json.as_bytes()).is_ok(), "it is no JSON, so it is a shell command");
}

/// Far more than it takes, far less than anything that grows with the square would.
fn bounded(started: Instant) {
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
}
