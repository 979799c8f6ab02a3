//! What the documents say about the program, compared with the program.

use std::fs;
use std::path::Path;

use trustgate::gate::RefusalCode;

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
