//! What was sent, and what became of it, is found in the history; what waits is not there yet.

use super::{MESSAGE, SUPPORT, configure, later, office, outbox, pipe};
use crate::standin::{SmtpAt, SmtpFault};
use crate::tokens::Home;
use serde_json::Value;

fn reply(text: &str) -> SmtpFault {
    SmtpFault::Reply(text.into())
}

fn history(home: &Home, args: &[&str]) -> Vec<Value> {
    let args = [&["history", "--json"][..], args].concat();
    let ran = home.run(&args).succeeds();
    let object: Value = serde_json::from_str(&ran.stdout).unwrap();
    object["history"].as_array().unwrap().clone()
}

#[test]
fn what_was_sent_is_found_by_whom_it_was_for() {
    let home = office();
    for args in [&["send", "-t"][..], &["send", "-t", "--outbox"]] {
        pipe(&home, args, MESSAGE.as_bytes()).succeeds();
    }
    for word in [
        "anna@example.com",
        "Secret@Example.com",
        SUPPORT,
        "<1@contoso.com>",
        "re: ORDER",
    ] {
        let found = history(&home, &[word]);
        assert_eq!(found.len(), 2, "{word}: {found:#?}");
        assert_eq!(history(&home, &[word, "--received"]).len(), 0);
    }
    let found = &history(&home, &["--sent"])[0];
    assert_eq!(found["direction"], "sent");
    assert_eq!(found["queue"], "support");
    assert_eq!(found["from"], "Support <support@contoso.com>");
    assert_eq!(found["sender"], SUPPORT);
    assert_eq!(found["subject"], "Re: order");
    assert_eq!(found["outcome"], "accepted");
    assert_eq!(found["outgoing_server"], "out");
    assert_eq!(found["recipients"].as_array().unwrap().len(), 4);
    let server_id = found["server_message_id"].as_str().unwrap();
    assert!(!history(&home, &[server_id]).is_empty(), "{server_id}");
    assert_eq!(found["size"], home.standin.submitted()[1].bytes.len());
    let shown = home.run(&["history", "anna@example.com"]).succeeds();
    let to = "anna@example.com and 3 more";
    assert!(shown.stdout.contains(to), "{shown:?}");
}

#[test]
fn what_waits_is_not_there_yet_and_a_refusal_is() {
    let home = office();
    home.standin
        .faults()
        .smtp_next(1, SmtpAt::Connect, reply("421 4.3.2 Service not active"));
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).succeeds();
    assert_eq!(history(&home, &[]).len(), 0);
    let kept = &outbox(&home)[0];
    assert_eq!(kept["from_header"], "Support <support@contoso.com>");
    assert_eq!(kept["subject"], "Re: order");
    let shown = home.run(&["outbox", "list"]).succeeds();
    assert!(shown.stdout.contains("Re: order"), "{shown:?}");
    later(&home);
    home.run(&["outbox", "flush"]).succeeds();
    let found = history(&home, &[]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["outcome"], "accepted");
    home.standin
        .faults()
        .smtp_next(1, SmtpAt::Dot, reply("554 5.6.0 no"));
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).fails(69);
    let found = history(&home, &[]);
    let refused = found.iter().find(|f| f["outcome"] == "refused").unwrap();
    assert!(
        refused["server_said"].as_str().unwrap().contains("5.6.0"),
        "{refused}"
    );
    assert_eq!(refused["recipients"][0]["outcome"], "refused");
}

#[test]
fn one_recipient_of_several_may_be_refused() {
    let home = office();
    home.standin
        .faults()
        .smtp_recipient("anna@example.com", "550 5.1.1 nobody");
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).fails(67);
    let found = &history(&home, &[])[0];
    assert_eq!(found["outcome"], "accepted");
    let outcomes: Vec<&str> = found["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|recipient| recipient["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["refused", "accepted", "accepted", "accepted"]);
}

#[test]
fn an_unknown_outcome_is_told_and_what_sent_items_say_then() {
    let home = office();
    home.standin
        .faults()
        .smtp_next(1, SmtpAt::Dot, SmtpFault::AcceptThenClose);
    pipe(&home, &["send", "-t", "--outbox"], MESSAGE.as_bytes()).fails(76);
    assert_eq!(history(&home, &[])[0]["outcome"], "unknown");
    home.run(&["outbox", "retry", "1"]).succeeds();
    let found = history(&home, &["<1@contoso.com>"]);
    let said: Vec<&Value> = found.iter().map(|f| &f["outcome"]).collect();
    assert_eq!(said.len(), 2, "{found:#?}");
    assert!(
        found
            .iter()
            .any(|f| f["server_said"] == "found in Sent Items")
    );
}

#[test]
fn no_subject_of_what_was_sent_is_kept_where_none_is_wanted() {
    let home = office();
    configure(&home, "version:", "history: { subject: false }");
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).succeeds();
    assert_eq!(history(&home, &[])[0]["subject"], Value::Null);
    configure(&home, "version:", "keep_history: 0d");
    pipe(&home, &["send", "-t"], MESSAGE.as_bytes()).succeeds();
    assert_eq!(history(&home, &[]).len(), 1, "the second one is not there");
}
