//! The checker itself: each fault in a made-up tree is seen, and only that.

use crate::{check, page, rows::Ledger, source::Source};

const REQUIREMENTS: &str = "\
id\tlevel\tscope\tsection\tquote\treplaces
1.1-01\tMUST\tengine\tFirst / field\tA must b.\t
1.1-02\tSHOULD\tengine\tFirst\tA should b.\t
1.1-03\tSHOULD\tengine\tFirst\tC should d.\t
1.1-X1\tMUST\tnode\tFirst\tC must d.\t1.1-03
";
const INPUTS: &str = "id\tinput\nF1\ttoo short\n";
const EXCEPTIONS: &str = "id\tkind\treason\n";

const CODE: &str = "
//= 1.1-01 1.1-X1
fn rule() {}
";
const TESTS: &str = "
//= 1.1-01
//= 1.1-X1
#[test]
fn f1_a_is_b() {
    assert_eq!(a, b);
}

/// What C is.
//= 1.1-02
#[test]
#[cfg(feature = \"c\")]
fn c_is_d() {
    helper('\"', \"{\");
}

fn helper(_: char, _: &str) {
    peer.expect(close);
}
";

fn faults(exceptions: &str, code: &str, tests: &str) -> Vec<String> {
    let ledger = Ledger::read(REQUIREMENTS, INPUTS, &format!("{EXCEPTIONS}{exceptions}"));
    let sources = [Source::read("engine/src/a.rs", code), Source::read("tests/spec/a.rs", tests)];
    check::faults(&ledger, &sources, 100)
}

#[track_caller]
fn only(faults: &[String], expected: &str) {
    assert_eq!(faults, [expected]);
}

#[test]
fn nothing_is_wrong_where_all_is_held() {
    assert_eq!(faults("", CODE, TESTS), [""; 0]);
}

#[test]
fn a_must_without_code() {
    let expected =
        "1.1-01 MUST (First / field: A must b.): f1_a_is_b in tests/spec/a.rs tests it, no code is marked";
    only(&faults("", &CODE.replace("1.1-01", ""), TESTS), expected);
}

#[test]
fn a_must_without_a_test() {
    let expected = "1.1-01 MUST (First / field: A must b.): code in engine/src/a.rs, no test";
    only(&faults("", CODE, &TESTS.replace("//= 1.1-01", "")), expected);
}

#[test]
fn a_must_without_anything() {
    let expected =
        "1.1-01 MUST (First / field: A must b.): no code is marked, no test and no exception is there";
    only(&faults("", &CODE.replace("1.1-01", ""), &TESTS.replace("//= 1.1-01", "")), expected);
    let exception = "1.1-01\tnot yet\tB is not there.\n";
    assert_eq!(faults(exception, &CODE.replace("1.1-01", ""), &TESTS.replace("//= 1.1-01", "")), [""; 0]);
}

#[test]
fn a_mark_in_a_text_or_behind_the_unit_tests_is_no_code() {
    let text = "const TEXT: &str = \"\n//= 1.1-01\n\";\n//= 1.1-X1\nfn rule() {}\n";
    let expected =
        "1.1-01 MUST (First / field: A must b.): f1_a_is_b in tests/spec/a.rs tests it, no code is marked";
    only(&faults("", text, TESTS), expected);
    let unit_tests =
        format!("{CODE}\n#[cfg(test)]\nmod tests {{\n    //= 1.1-01\n    fn no_test() {{}}\n}}\n");
    only(&faults("", &unit_tests, TESTS), "engine/src/a.rs: 1.1-01 stands in test code above no test");
}

#[test]
fn unit_tests_are_tests() {
    let unit_test = "#[cfg(test)]\nmod tests {\n    //= 1.1-01\n    #[test]\n    fn f1_a() {\n        assert!(a);\n    }\n}\n";
    assert_eq!(faults("", &format!("{CODE}\n{unit_test}"), &TESTS.replace("//= 1.1-01", "")), [""; 0]);
}

#[test]
fn an_id_that_is_none() {
    only(
        &faults("", &CODE.replace("1.1-01", "1.1-01 1.1-09"), TESTS),
        "engine/src/a.rs: there is no row 1.1-09",
    );
    only(&faults("", CODE, &TESTS.replace("1.1-01", "1.1-01 F1")), "tests/spec/a.rs: there is no row F1");
    only(&faults("1.1-09\tnot yet\tNo.\n", CODE, TESTS), "exceptions.tsv: there is no row 1.1-09");
}

#[test]
fn an_id_in_whose_place_another_stands() {
    let expected = "tests/spec/a.rs: 1.1-X1 stands in the place of 1.1-03: name that";
    only(&faults("", CODE, &TESTS.replace("1.1-02", "1.1-02 1.1-03")), expected);
}

#[test]
fn an_exception_for_what_is_held() {
    let expected = "exceptions.tsv: 1.1-01 is held now: remove its line";
    only(&faults("1.1-01\tnot yet\tNo.\n", CODE, TESTS), expected);
    only(&faults("F1\tnot yet\tNo.\n", CODE, TESTS), "exceptions.tsv: F1 is held now: remove its line");
}

#[test]
fn an_exception_without_a_kind_or_a_reason_or_twice() {
    let code = CODE.replace("1.1-01", "");
    let kinds = "exceptions.tsv: 1.1-01: the kind is one of [\"not yet\", \"not ours\"], not \"never\"";
    only(&faults("1.1-01\tnever\tNo.\n", &code, TESTS), kinds);
    only(&faults("1.1-01\tnot yet\t\n", &code, TESTS), "exceptions.tsv: 1.1-01: the reason is no sentence");
    let twice = "1.1-01\tnot yet\tNo.\n".repeat(2);
    only(&faults(&twice, &code, TESTS), "exceptions.tsv: 1.1-01 is there twice");
}

#[test]
fn a_test_that_asserts_nothing() {
    let expected = "tests/spec/a.rs: f1_a_is_b asserts nothing";
    for blind in ["", "a.send(b).expect(\"it is open\");", "// assert!(a);", "a(\"assert!\");", "a.unwrap();"]
    {
        only(&faults("", CODE, &TESTS.replace("assert_eq!(a, b);", blind)), expected);
    }
    let expected = "tests/spec/a.rs: c_is_d asserts nothing";
    only(&faults("", CODE, &TESTS.replace("peer.expect(close);", "peer.send(close);")), expected);
}

#[test]
fn a_bad_input_without_a_test() {
    let tests = TESTS.replace("f1_", "f10_");
    only(&faults("", CODE, &tests), "F1 (too short): no test is named f1_...");
    assert_eq!(faults("F1\tnot yet\tNo.\n", CODE, &tests), [""; 0]);
}

#[test]
fn too_few_tests_of_what_should_be() {
    let expected =
        "0 of 1 SHOULD and IMPLIED rows have a test: 0 %, fewer than 100 %; there is none for 1.1-02";
    only(&faults("", CODE, &TESTS.replace("//= 1.1-02", "")), expected);
    let not_ours = "1.1-02\tnot ours\tB is for others.\n";
    assert_eq!(faults(not_ours, CODE, &TESTS.replace("//= 1.1-02", "")), [""; 0]);
}

#[test]
fn the_page_names_code_tests_and_exceptions() {
    let ledger = Ledger::read(REQUIREMENTS, INPUTS, &format!("{EXCEPTIONS}F1\tnot yet\tNo.\n"));
    let sources = [Source::read("engine/src/a.rs", CODE), Source::read("tests/spec/a.rs", TESTS)];
    let page = page::page(&ledger, &sources);
    for line in [
        "- 2 MUST rows have code and a test; excepted: *not yet*: 0, *not ours*: 0.",
        "- 1 of 1 SHOULD and IMPLIED rows have a test: 100 %; excepted: *not yet*: 0, *not ours*: 0.",
        "- 0 of 1 bad inputs have a test.",
        "## 1.1 First",
        "| 1.1-01 | MUST | field: A must b. | engine/src/a.rs | tests/spec/a.rs: `f1_a_is_b` |",
        "| 1.1-03 | SHOULD | C should d. |  | see 1.1-X1 |",
        "| F1 | too short | tests/spec/a.rs: `f1_a_is_b`<br>*not yet*: No. |",
    ] {
        assert!(page.lines().any(|other| other == line), "{line}\nis not in\n{page}");
    }
}
