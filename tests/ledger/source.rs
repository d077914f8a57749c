//! What source files say: which rows a piece of code implements, which a test holds.

use std::{fs, path::Path};

/// A source file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// From the root of the workspace.
    pub(crate) path: String,
    /// The ids above code.
    pub(crate) ids: Vec<String>,
    /// All its tests.
    pub(crate) tests: Vec<Test>,
    /// The ids in test code that stand above no test.
    pub(crate) strays: Vec<String>,
}

/// A test function.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) name: String,
    /// The ids above it.
    pub(crate) ids: Vec<String>,
    /// Whether it can fail for anything but a panic of what it calls.
    pub(crate) judges: bool,
}

/// The line comment that names rows.
const MARK: &str = "//= ";

/// What judges: the assertions, and the methods of the harness that expect something.
const JUDGES: [&str; 18] = [
    "assert",
    "panic!",
    "unreachable!",
    "expect!",
    ".expect(",
    ".expect_",
    ".unwrap_err(",
    ".closes_with(",
    ".ends_with(",
    ".detaches_with(",
    ".drops_for(",
    ".silent(",
    ".no_event(",
    ".finish(",
    ".far_is_fine(",
    ".session_is_fine(",
    ".delivery(",
    ".accepted(",
];

impl Source {
    /// Reads a file's text.
    pub(crate) fn read(path: &str, text: &str) -> Self {
        let (code, comments) = split(text);
        let (code_lines, comment_lines): (Vec<_>, Vec<_>) =
            (code.lines().collect(), comments.lines().collect());
        let tests_from = if path.starts_with("tests/") || path.contains("/tests/") {
            0
        } else {
            code_lines
                .windows(2)
                .position(|two| {
                    two[0] == "#[cfg(test)]" && two[1].starts_with("mod ") && two[1].ends_with('{')
                })
                .unwrap_or(usize::MAX)
        };
        let judging = judging_functions(&code);
        let mut source = Self { path: path.to_owned(), ..Self::default() };
        let mut pending = Vec::new();
        let mut is_test = false;
        for (number, (line, comment)) in code_lines.iter().zip(&comment_lines).enumerate() {
            if let Some(ids) = comment.trim().strip_prefix(MARK.trim_end()) {
                pending.extend(ids.split_whitespace().map(str::to_owned));
                continue;
            }
            let line = line.trim();
            if line.starts_with("#[") {
                is_test |= line == "#[test]";
                continue;
            }
            if line.is_empty() && !comment.trim().is_empty() {
                continue;
            }
            let ids = std::mem::take(&mut pending);
            if std::mem::take(&mut is_test) {
                let name = function_name(line).unwrap_or_default().to_owned();
                let judges = judging.contains(&name);
                source.tests.push(Test { name, ids, judges });
            } else if number >= tests_from {
                source.strays.extend(ids);
            } else {
                source.ids.extend(ids);
            }
        }
        source
    }
}

/// Reads the source files below some folders of `root`, in the order of their paths.
pub(crate) fn read_all(root: &Path, folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(root).expect("found below it");
        let path = path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>();
        Source::read(&path.join("/"), &text)
    };
    paths.iter().map(read).collect()
}

/// Collects the paths of source files. The interop tests need peers, so nothing can rest on them.
fn collect(folder: &Path, paths: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder that can be read").path();
        if path.is_dir() {
            if !path.ends_with("tests/interop") && !path.ends_with("target") {
                collect(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn function_name(line: &str) -> Option<&str> {
    let rest = line.split_once("fn ")?.1;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// The functions of a file that judge, be it by calling another one of the same file.
fn judging_functions(code: &str) -> Vec<String> {
    let mut functions: Vec<(String, &str)> = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if let (true, Some(name), Some(body)) = (starts_word, function_name(&code[at..]), body(&code[at..])) {
            functions.push((name.to_owned(), body));
        }
    }
    let mut judging: Vec<String> = Vec::new();
    loop {
        let known = judging.len();
        for (name, body) in &functions {
            let calls_one = || words(body).any(|word| judging.iter().any(|judge| judge == word));
            if !judging.contains(name) && (judges(body) || calls_one()) {
                judging.push(name.clone());
            }
        }
        if judging.len() == known {
            return judging;
        }
    }
}

/// Whether a body judges by itself. A `Result` unwrapped with a text is not judged: nothing is compared.
fn judges(body: &str) -> bool {
    let found =
        |word: &&str| body.match_indices(*word).any(|(at, _)| !body[at + word.len()..].starts_with('"'));
    JUDGES.iter().any(found)
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What stands between the braces of the function at the front.
fn body(code: &str) -> Option<&str> {
    let arguments = code.find('(')?;
    let after = arguments + closing(&code[arguments..], '(', ')')?;
    let start = after + code[after..].find(['{', ';']).filter(|at| code[after + at..].starts_with('{'))?;
    Some(&code[start..start + closing(&code[start..], '{', '}')?])
}

/// Where the bracket at the front is closed.
fn closing(code: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// The code without comments and without what stands in literals, and the comments alone, line by line as they were.
fn split(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (length, is_comment) = token(rest, code.chars().next_back());
        let (token, after) = rest.split_at(length);
        let blank = || token.chars().map(|c| if c == '\n' { c } else { ' ' });
        if is_comment {
            code.extend(blank());
            comments.push_str(token);
        } else {
            comments.extend(blank());
            if length > c.len_utf8() {
                code.push('"');
                code.extend(token.chars().filter(|c| *c == '\n'));
                code.push('"');
            } else {
                code.push(c);
            }
        }
        rest = after;
    }
    (code, comments)
}

/// How long the token at the front is, and whether it is a comment. All but comments and literals goes one by one.
fn token(rest: &str, before: Option<char>) -> (usize, bool) {
    let one = rest.chars().next().map_or(0, char::len_utf8);
    let to = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), true);
    }
    if rest.starts_with("/*") {
        return (to("*/", 2), true);
    }
    if rest.starts_with('"') {
        return (quoted(rest, '"'), false);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_word && (rest.starts_with("r\"") || rest.starts_with("r#")) {
        let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
        if rest[1 + hashes..].starts_with('"') {
            return (to(&format!("\"{}", "#".repeat(hashes)), 2 + hashes), false);
        }
    }
    if let Some(literal) = rest.strip_prefix('\'') {
        // 'a' and '\n' are literals, 'a alone is a lifetime.
        let mut chars = literal.chars();
        let is_literal = chars.next() == Some('\\') || chars.next() == Some('\'');
        return (if is_literal { quoted(rest, '\'') } else { one }, false);
    }
    (one, false)
}

/// How long the literal at the front is, in which a backslash takes its meaning from what follows.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = !escaped && c == '\\';
    }
    rest.len()
}
