//! Two and twenty runs at once over the same mailboxes.

use super::{Campaign, Desk, both, campaign, maildir, makes_good};
use std::process::Stdio;

#[test]
fn runs_at_once() {
    both(|via| {
        let mut campaign = Campaign::new(format!("overlapping runs, {via:?}"));
        let rounds = if campaign::whole() { 10 } else { 1 };
        for round in 0..rounds {
            for (count, after) in [(2, "delete"), (20, "seen")] {
                let address = format!("deliver: maildir:mail\nafter_fetch: {after}");
                let desk = Desk::new(via, &address);
                let others = ["sales@contoso.example", "billing@contoso.example"];
                for other in others {
                    desk.add_address(other, &address);
                }
                let mut sent = desk.deliver(0..40);
                for (n, other) in others.iter().enumerate() {
                    let from = 100 * (n + 1);
                    sent.extend(desk.deliver_to(other, from..from + 40));
                }
                let runs: Vec<_> = (0..count)
                    .map(|_| {
                        desk.fetch(&[])
                            .command()
                            .stdout(Stdio::piped())
                            .stderr(Stdio::piped())
                            .spawn()
                            .unwrap()
                    })
                    .collect();
                for run in runs {
                    let out = run.wait_with_output().unwrap();
                    let text = String::from_utf8_lossy(&out.stderr);
                    assert!(
                        out.status.success() && text.is_empty(),
                        "{via:?}, {}: {text}",
                        out.status
                    );
                    campaign.fault();
                }
                let story = format!("{count} runs at once, {after}, {via:?}, round {round}");
                makes_good(&desk, &sent, maildir, &story);
                let tokens = desk.m365.token_requests().len();
                assert_eq!(tokens, 1, "{story}: one token for all");
            }
        }
        campaign.end(22);
    });
}
