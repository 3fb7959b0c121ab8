//! Which rights are used, by which tests; which are not, and why they are granted all the same. And the table of `docs/deploy.md` that says so.
//!
//! `testing/e2e/rights/used/TEST.txt` has the rights that a test is sure to use, one a line; the test fails if it did not use them.
//! `testing/e2e/rights/justified.txt` has the others with the reason. Both are lists for people, too: a right that is in neither must be removed from
//! Terraform.

use super::{
    gate::Rights,
    grants::{Grants, PERSON, Right},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// A right, or several that differ by their account, and why it is granted though no test is sure to use it.
#[derive(Clone, Debug)]
pub struct Justified {
    /// Words of the right's text; `*` is any.
    pattern: Vec<String>,
    /// The reason.
    pub reason: String,
}

impl Justified {
    /// Whether it applies to this right.
    pub fn matches(&self, right: &Right) -> bool {
        let text = right.to_string();
        let words: Vec<_> = text.split(' ').filter(|word| *word != "on").collect();
        let is_word = |(pattern, word): (&String, &&str)| pattern == "*" || pattern.split('|').any(|one| one == *word);
        words.len() == self.pattern.len() && self.pattern.iter().zip(&words).all(is_word)
    }
}

/// `testing/e2e/rights/justified.txt`: `PATTERN: REASON`, the pattern being a right's text without the word "on".
pub fn justified(checkout: &Path) -> Vec<Justified> {
    let path = checkout.join("testing/e2e/rights/justified.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let of = |line: &str| {
        let (pattern, reason) =
            line.split_once(": ").unwrap_or_else(|| panic!("{}: {line:?} has no reason", path.display()));
        Justified { pattern: pattern.split_whitespace().map(str::to_owned).collect(), reason: reason.to_owned() }
    };
    lines.map(of).collect()
}

fn used_by(checkout: &Path, test: &str) -> PathBuf {
    checkout.join(format!("testing/e2e/rights/used/{test}.txt"))
}

/// What every test is sure to use, by the right's text: the tests' names.
pub fn used(checkout: &Path) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut files: Vec<_> = std::fs::read_dir(checkout.join("testing/e2e/rights/used"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let test = file.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            all.entry(line.to_owned()).or_default().push(test.clone());
        }
    }
    all
}

/// Checks that a test used the rights that its list names. With `UPDATE_RIGHTS=1` the list is written again.
pub fn check_used(checkout: &Path, test: &str, rights: &Rights) {
    let justified = justified(checkout);
    let is_sure = |right: &Right| !justified.iter().any(|justified| justified.matches(right));
    let used: BTreeSet<String> = rights.used().iter().filter(|right| is_sure(right)).map(Right::to_string).collect();
    let path = used_by(checkout, test);
    if std::env::var("UPDATE_RIGHTS").is_ok_and(|value| value == "1") {
        let lines: String = used.iter().map(|right| format!("{right}\n")).collect();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, lines).unwrap();
        return;
    }
    let listed = std::fs::read_to_string(&path).unwrap_or_default();
    let unused: Vec<_> = listed.lines().filter(|line| !used.contains(*line)).collect();
    assert!(
        unused.is_empty(),
        "{test} did not use {unused:#?}: UPDATE_RIGHTS=1 scripts/e2e writes the lists again; what a test uses only sometimes belongs in testing/e2e/rights/justified.txt"
    );
}

/// The rights of functions that no test is sure to use and nothing justifies.
pub fn unused(checkout: &Path, grants: &Grants) -> Vec<Right> {
    let (used, justified) = (used(checkout), justified(checkout));
    let all = grants.all_rights().into_iter().filter(|right| right.account != PERSON);
    let is_unused = |right: &Right| {
        !used.contains_key(&right.to_string()) && !justified.iter().any(|justified| justified.matches(right))
    };
    all.filter(is_unused).collect()
}

/// A line of the table: who may do what on what, and what proves it.
#[derive(Debug, Default)]
struct Line {
    accounts: BTreeSet<String>,
    tests: BTreeSet<String>,
    reasons: BTreeSet<String>,
}

/// The table of `docs/deploy.md`, in Markdown: every right of the functions' accounts, those that differ only in the account together.
pub fn table(checkout: &Path, examples: &[&str]) -> String {
    let (used, justified) = (used(checkout), justified(checkout));
    let mut rights = BTreeSet::new();
    for example in examples {
        rights.extend(Grants::of_example(checkout, example).all_rights());
    }
    // What is proven in the same way is one line.
    let mut lines: BTreeMap<(String, String, bool), Line> = BTreeMap::new();
    for right in rights.into_iter().filter(|right| right.account != PERSON) {
        let on = right.on.replace("PROJECT-trackdrop-", "").replace("project PROJECT", "project");
        let on = right.only.as_ref().map_or(on.clone(), |only| format!("{on}, `{only}`"));
        let tests = used.get(&right.to_string());
        let line = lines.entry((on, right.permission.clone(), tests.is_none())).or_default();
        line.accounts.insert(right.account.trim_start_matches("trackdrop-").to_owned());
        line.tests.extend(tests.into_iter().flatten().cloned());
        let reasons = justified.iter().filter(|justified| tests.is_none() && justified.matches(&right));
        line.reasons.extend(reasons.map(|justified| justified.reason.clone()));
    }
    let mut text = String::from("| on | may | who | used by, or why |\n| --- | --- | --- | --- |\n");
    for ((on, permission, _), Line { accounts, tests, reasons }) in lines {
        // The console is no function.
        let (console, functions): (Vec<_>, Vec<_>) = accounts.iter().partition(|account| *account == "console");
        let who = if functions.len() == crate::service::FUNCTIONS.len() {
            console.iter().fold("all seven".to_owned(), |who, account| format!("{who}, `{account}`"))
        } else {
            accounts.iter().map(|account| format!("`{account}`")).collect::<Vec<_>>().join(", ")
        };
        let tests = tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ");
        let why = if tests.is_empty() { reasons.into_iter().collect::<Vec<_>>().join("; ") } else { tests };
        // Writing into a string can't fail.
        writeln!(text, "| {on} | `{permission}` | {who} | {why} |").ok();
    }
    text
}
