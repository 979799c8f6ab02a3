//! What the documents say about the program, compared with the program.

use std::fs;
use std::path::Path;

use trustgate::gate::RefusalCode;

use crate::support::Desk;

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_readme_lists_every_refusal() {
    let readme = document("README.md");
    for code in RefusalCode::ALL {
        let (name, exit) = (code.name(), code.exit().code());
        let row = format!("| [`{name}`](docs/refusals.md#{name}) | {exit} | {} |", code.summary());
        assert!(readme.contains(&row), "README.md lacks the row\n{row}");
    }
    let rows = readme.lines().filter(|line| line.contains("](docs/refusals.md#")).count();
    assert_eq!(rows, RefusalCode::ALL.len());
}

/// Commands of docker and notary that somebody may look for.
const THEIRS: [&str; 31] = [
    "docker push",
    "docker pull",
    "docker create",
    "docker run",
    "docker build",
    "docker trust inspect",
    "docker trust sign",
    "docker trust revoke",
    "docker trust key generate",
    "docker trust key load",
    "docker trust signer add",
    "docker trust signer remove",
    "notary init",
    "notary list",
    "notary lookup",
    "notary verify",
    "notary add ",
    "notary addhash",
    "notary remove",
    "notary witness",
    "notary status",
    "notary reset",
    "notary publish",
    "notary delete",
    "notary delegation list",
    "notary delegation add",
    "notary delegation remove",
    "notary delegation purge",
    "notary key list",
    "notary key export",
    "notary key rotate",
];

#[test]
fn every_command_of_docker_and_notary_has_one_here() {
    let text = document("docs/migrating.md");
    let rows: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "))
        .filter(|(_, ours)| ours.starts_with("`trustgate "))
        .collect();
    for theirs in THEIRS {
        assert!(rows.iter().any(|(row, _)| row.contains(theirs)), "nothing stands for `{theirs}`");
    }
    let desk = Desk::new();
    for (_, ours) in rows {
        let words: Vec<&str> = ours.trim_matches('`').split(' ').skip(1).collect();
        // A command is named by the words before its first argument.
        let depth = words.iter().take_while(|it| COMMANDS.contains(it)).count();
        let help = desk.run_words(words[..depth].iter().chain(&["--help"]));
        assert!(help.starts_with("exit code: 0\n"), "{ours}: {help}");
        let usage = help.lines().find(|it| it.starts_with("Usage: ")).unwrap();
        assert!(!usage.contains("<COMMAND>") && 0 < depth, "{ours} is not a whole command: {usage}");
        for option in words.iter().filter(|it| it.starts_with("--")) {
            assert!(help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")), "{ours}");
        }
    }
}

/// The words that commands are made of.
const COMMANDS: [&str; 36] = [
    "add",
    "build",
    "create",
    "delete",
    "export",
    "generate",
    "import",
    "init",
    "inspect",
    "key",
    "list",
    "load",
    "passwd",
    "publish",
    "pull",
    "purge",
    "push",
    "refresh",
    "remove",
    "repo",
    "reset",
    "revoke",
    "rotate",
    "run",
    "sign",
    "signer",
    "stage",
    "staged",
    "status",
    "threshold",
    "verify",
    "witness",
    "migrate",
    "pin",
    "policy",
    "completion",
];

#[test]
fn documents_link_to_documents_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    files.extend(fs::read_dir(root.join("docs")).unwrap().map(|it| it.unwrap().path()));
    for file in files.iter().filter(|it| it.extension().is_some_and(|it| it == "md")) {
        let text = fs::read_to_string(file).unwrap();
        for link in text.split("](").skip(1).filter_map(|it| it.split(')').next()) {
            let path = link.split('#').next().unwrap();
            if !path.is_empty() && !path.contains("://") {
                assert!(file.parent().unwrap().join(path).exists(), "{}: {link}", file.display());
            }
        }
    }
}
