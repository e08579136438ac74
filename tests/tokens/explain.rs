//! `explain`, offline.

use super::Home;

#[test]
fn codes_replies_and_texts() {
    let home = Home::new();
    for (words, says) in [
        (
            &["7000222"][..],
            "AADSTS7000222: the client secret has expired\n",
        ),
        (
            &["AADSTS50126"],
            "AADSTS50126: the user name or the password is wrong\n",
        ),
        (
            &["535", "5.7.139"],
            "Set-CASMailbox MAILBOX -SmtpClientAuthenticationDisabled $false",
        ),
        (
            &["BAD User is authenticated but not connected."],
            "Add-MailboxPermission -Identity MAILBOX",
        ),
        (
            &["MailboxNotEnabledForRESTAPI"],
            "no Exchange Online mailbox",
        ),
        (
            &["AADSTS9002327"],
            "\"Single-page application\" to \"Mobile and desktop",
        ),
        (&["invalid_grant"], "queuemail token login"),
    ] {
        let ran = home.run(&[&["explain"], words].concat()).succeeds();
        assert!(ran.stdout.contains(says), "{words:?}: {}", ran.stdout);
        assert!(ran.stdout.contains("\nwho can fix it: "), "{}", ran.stdout);
        assert!(ran.stdout.contains("\nhint: "), "{}", ran.stdout);
        assert_eq!(ran.stderr, "");
    }
    let ran = home.run(&["explain", "7000222"]).succeeds();
    assert!(
        ran.stdout
            .ends_with("hint: more at https://login.microsoftonline.com/error?code=7000222\n")
    );
    let json = home.run(&["--json", "explain", "65001"]).succeeds();
    let object: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let explanations = object["explanations"].as_array().unwrap();
    assert_eq!(explanations.len(), 1, "{object}");
    assert_eq!(explanations[0]["code"], "AADSTS65001");
    let json = home.run(&["--json", "explain"]).succeeds();
    let object: serde_json::Value = serde_json::from_str(&json.stdout).expect("one object");
    assert!(object["explanations"].as_array().unwrap().len() > 100);
    assert_eq!(home.asked(), 0);
}

#[test]
fn what_is_not_known() {
    let home = Home::new();
    home.run(&["explain", "AADSTS987654321"])
        .fails(64)
        .mentions(
            "hint: see Microsoft's page: https://login.microsoftonline.com/error?code=987654321",
        );
    home.run(&["explain", "\u{1b}[31mred"])
        .fails(64)
        .mentions("unknown code or text")
        .hides("\u{1b}");
}

#[test]
fn without_a_word_all_is_told() {
    let home = Home::new();
    let ran = home.run(&["explain"]).succeeds();
    for code in [
        "AADSTS7000215: ",
        "AUTHENTICATE failed: ",
        "invalid_grant: ",
    ] {
        assert!(
            ran.stdout.contains(&format!("\n{code}")) || ran.stdout.starts_with(code),
            "{code}"
        );
    }
}
