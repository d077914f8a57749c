//! The code of `docs/tutorial.md` and `docs/DRIVERS.md` is that of the examples: after a comment `<!-- FILE: LINE -->` stands the item of
//! `examples/FILE` that begins with LINE. `AMQP1_WRITE=1 cargo test -p amqp1-tests --test tutorial` writes it again.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn its_code_is_that_of_the_examples() {
    ["tutorial.md", "DRIVERS.md"].into_iter().for_each(code_is_that_of_the_examples);
}

fn code_is_that_of_the_examples(page: &str) {
    let path = project().join("docs").join(page);
    let tutorial = fs::read_to_string(&path).expect("there is such a page");
    let current = with_code(&tutorial);
    if std::env::var("AMQP1_WRITE").is_ok() {
        fs::write(path, current).expect("it can be written");
    } else {
        for (shown, current) in tutorial.lines().zip(current.lines()) {
            assert_eq!(shown, current, "AMQP1_WRITE=1 writes the code again");
        }
        assert_eq!(tutorial, current, "AMQP1_WRITE=1 writes the code again");
    }
}

#[test]
fn it_tells_of_every_example() {
    let tutorial = fs::read_to_string(project().join("docs/tutorial.md")).expect("there is a tutorial");
    for entry in fs::read_dir(project().join("examples")).expect("the examples are here") {
        let name = entry.expect("it can be read").file_name().into_string().expect("names are ASCII");
        if let Some(example) = name.strip_suffix(".rs") {
            assert!(tutorial.contains(&format!("`{example}`")), "nothing is said of {example}");
        }
    }
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tutorial with its code replaced by that of the examples.
fn with_code(tutorial: &str) -> String {
    let mut text = String::new();
    let mut lines = tutorial.lines();
    while let Some(line) = lines.next() {
        text += line;
        text.push('\n');
        let Some((file, first)) = named(line) else { continue };
        let source = fs::read_to_string(project().join("examples").join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        let item =
            item(&source, first).unwrap_or_else(|| panic!("{file} has no item that begins with {first}"));
        text += &format!("\n```rust\n{item}```\n");
        let mut shown = lines.clone();
        if shown.next() == Some("") && shown.next() == Some("```rust") {
            assert!(shown.any(|line| line == "```"), "code without an end");
            lines = shown;
        }
    }
    text
}

/// File and first line of `<!-- FILE: LINE -->`.
fn named(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("<!-- ")?.strip_suffix(" -->")?.split_once(": ")
}

/// The item of the source that begins with a line, as if it were not indented.
fn item(source: &str, first: &str) -> Option<String> {
    let mut lines = source.lines().skip_while(|line| !line.trim_start().starts_with(first));
    let first = lines.next()?;
    let indent = first.len() - first.trim_start().len();
    let mut item = format!("{}\n", &first[indent..]);
    if first.ends_with('{') {
        for line in lines {
            item += line.get(indent..).unwrap_or_default();
            item.push('\n');
            if line.len() == indent + 1 && line.ends_with('}') {
                break;
            }
        }
    }
    Some(item)
}

#[test]
fn an_item_is_found_and_dedented() {
    let source =
        "struct A {\n    b: u8,\n}\n\nimpl A {\n    fn c() {\n        d();\n\n        e()\n    }\n}\n";
    assert_eq!(item(source, "fn c").unwrap(), "fn c() {\n    d();\n\n    e()\n}\n");
    assert_eq!(item(source, "struct A").unwrap(), "struct A {\n    b: u8,\n}\n");
    assert_eq!(item(source, "fn z"), None);
}
