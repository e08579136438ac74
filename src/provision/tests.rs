//! A person who is not a terminal: answers are given in advance.

use super::*;
use crate::model::{AfterFetch, Given, Start};
use std::cell::RefCell;
use std::collections::VecDeque;

/// Gives its answers in their order; the number of a choice is a word, too.
#[derive(Default)]
struct Script {
    answers: RefCell<VecDeque<&'static str>>,
    told: RefCell<String>,
}

impl Script {
    fn new(answers: &[&'static str]) -> Script {
        Script {
            answers: RefCell::new(answers.iter().copied().collect()),
            told: RefCell::default(),
        }
    }

    /// No question and no choice is wider than what a terminal of 80 columns shows in one row.
    fn fits(&self, text: &str) {
        assert!(text.chars().count() <= 70, "too wide: {text}");
    }

    fn next(&self, question: &str) -> &'static str {
        self.fits(question);
        let answer = self.answers.borrow_mut().pop_front();
        answer.unwrap_or_else(|| panic!("no answer to: {question}"))
    }
}

impl Person for Script {
    fn cannot_ask(&self) -> Option<&'static str> {
        self.answers
            .borrow()
            .is_empty()
            .then_some("nobody is there")
    }

    fn line(
        &self,
        question: &str,
        proposal: Option<&str>,
        check: &dyn Fn(&str) -> Result<(), String>,
    ) -> Result<String> {
        let answer = match (self.next(question), proposal) {
            ("", Some("")) => return Ok(String::new()),
            ("", proposal) => proposal.unwrap_or_default(),
            (answer, _) => answer,
        };
        check(answer).map_err(anyhow::Error::msg)?;
        Ok(answer.to_owned())
    }

    fn choice(&self, question: &str, choices: &[String], _: usize) -> Result<usize> {
        let answer = self.next(question);
        choices.iter().for_each(|choice| self.fits(choice));
        let place = choices.iter().position(|line| line.starts_with(answer));
        Ok(place.unwrap_or_else(|| panic!("{answer} is not among {choices:?}")))
    }

    fn secret(&self, question: &str) -> Result<Secret> {
        Ok(Secret::new(self.next(question)))
    }

    fn piped(&self, flag: &str) -> Result<Secret> {
        Ok(Secret::new(self.next(flag)))
    }

    fn waiting(&self, _: &Config, _: &EmailAddress) -> Result<u64> {
        Ok(12)
    }

    fn tell(&self, text: &str) {
        self.told.borrow_mut().push_str(text);
    }

    fn warn(&self, text: &str) {
        self.tell(text);
    }
}

const FILE: &str = "/etc/queuemail/config.yaml";
const CLIENT: &str = "1b7e1c4e-8a53-4bd5-9a1e-54d1b0a4c6f1";

fn empty() -> Config {
    config::parse("version: 1\n", Path::new(FILE)).unwrap()
}

/// A configuration with one server, made by answers.
fn with_server() -> Config {
    let mut config = empty();
    let script = Script::new(&[
        "Contoso",
        "contoso.com",
        "oauth-service",
        CLIENT,
        "secret",
        "",
        "imap",
        "hunter2",
    ]);
    let said = ask_incoming(&script, &config, NewServer::default()).unwrap();
    let server = said.server(&script).unwrap();
    let outcome = add_server(&mut config, Path::new(FILE), &server, false).unwrap();
    assert_eq!(outcome, Outcome::Created);
    assert!(script.answers.borrow().is_empty());
    let line = said.line(None);
    assert!(
        line.contains("--secret-stdin") && !line.contains("hunter2"),
        "{line}"
    );
    config
}

#[test]
fn what_is_missing_comes_from_whoever_answers() {
    let mut config = with_server();
    let script = Script::new(&[
        "support",
        "a@contoso.com",
        "Contoso",
        "",
        "de",
        "eml:/mail",
        "move",
        "Done",
        "now",
    ]);
    let said = ask_mailbox(&script, &config, Mailbox::default()).unwrap();
    assert_eq!(said.values.start, Some(Change::Set(Start::Now)));
    let told = script.told.borrow().clone();
    assert!(
        told.contains("already in the mailbox (12 wait): now"),
        "{told}"
    );
    assert_eq!(
        said.values.after,
        Some(Change::Set(AfterFetch::Move("Done".to_owned())))
    );
    let new = said.complete(&script).unwrap();
    let add = |config: &mut Config| add_mailbox(config, Path::new(FILE), &new);
    assert_eq!(add(&mut config).unwrap(), Outcome::Created);
    assert_eq!(add(&mut config).unwrap(), Outcome::Unchanged);
    assert_eq!(config.addresses().count(), 1);
}

#[test]
fn nothing_is_asked_of_nobody() {
    let said = NewServer::<Incoming> {
        name: Some(crate::model::Name("x".to_owned())),
        ..NewServer::default()
    };
    let refusal = said.server(&Script::default()).unwrap_err().to_string();
    assert_eq!(refusal, "`--address` is missing, and nobody is there");
}

#[test]
fn a_name_changes_wherever_it_is_said_and_a_server_in_use_stays() {
    let mut config = with_server();
    let mut said = Mailbox {
        queue: Some(crate::model::Name("support".to_owned())),
        address: Some("a@contoso.com".parse().unwrap()),
        server: Some(crate::model::Name("Contoso".to_owned())),
        ..Mailbox::default()
    };
    said.values.password.given = Some(Given::Stdin);
    let new = said.complete(&Script::new(&["hunter2"])).unwrap();
    add_mailbox(&mut config, Path::new(FILE), &new).unwrap();
    let new = Some(crate::model::Name("Other".to_owned()));
    let renamed = set_server(&mut config, "Contoso", &new, |_| Ok(())).unwrap();
    assert_eq!(renamed, Outcome::Changed);
    assert_eq!(config.queues[0].addresses[0].server, "Other");
    assert!(remove_server(&mut config, "Other").is_err());
    remove_queue(&mut config, "support", None).unwrap();
    assert_eq!(
        remove_server(&mut config, "Other").unwrap(),
        Outcome::Removed
    );
    assert!(config.incoming_servers.is_empty());
}
