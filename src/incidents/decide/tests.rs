use super::*;
use proptest::prelude::*;

const RULES: Rules = Rules {
    after: 300,
    repeat: 86_400,
    sends: false,
};

fn host(name: &str) -> IncidentName {
    IncidentName::new(IncidentKind::Host, name)
}

fn mailbox(name: &str) -> IncidentName {
    IncidentName::new(IncidentKind::Mailbox, name)
}

fn seen(mailbox: &str, end: End) -> Seen {
    Seen {
        mailbox: mailbox.into(),
        sign_in: None,
        end,
        messages: 0,
    }
}

fn failed(name: &IncidentName) -> End {
    End::Failed {
        name: name.clone(),
        why: "it broke".into(),
        is_refusal: false,
    }
}

/// The incidents, and what is told of them.
struct Story {
    all: Vec<Incident>,
    rules: Rules,
}

impl Story {
    fn new(rules: Rules) -> Story {
        let all = Vec::new();
        Story { all, rules }
    }

    /// A run at this time; what is told then, in short.
    fn run(&mut self, now: i64, ends: &[(&str, End)]) -> Vec<String> {
        let observed = Observed {
            seen: ends.iter().map(|(m, end)| seen(m, end.clone())).collect(),
            configured: ["a", "b", "c"].map(str::to_owned).into(),
            single: Vec::new(),
        };
        let notices = observe(&mut self.all, &observed, &self.rules, now);
        let short = |n: &Notice| {
            let mailboxes: Vec<&str> = n.mailboxes.iter().map(String::as_str).collect();
            format!("{} {} {}", n.event.name(), n.name, mailboxes.join("+"))
        };
        notices.iter().map(short).collect()
    }
}

/// A day without a host and ten minutes, a run each two minutes, three mailboxes.
#[test]
fn an_outage_of_a_day_is_told_three_times() {
    let mut story = Story::new(RULES);
    let mut told = Vec::new();
    let mut fails = 0;
    for minute in (0..1500).step_by(2) {
        let end = match minute < 1450 {
            true => failed(&host("mail.example")),
            false => End::Well,
        };
        fails += usize::from(end != End::Well) * 3;
        let ends = ["a", "b", "c"].map(|m| (m, end.clone()));
        for notice in story.run(minute * 60, &ends) {
            told.push((minute, notice));
        }
    }
    assert_eq!(fails, 2175);
    let expected = [
        (6, "opened host mail.example a+b+c"),
        (1446, "repeated host mail.example a+b+c"),
        (1450, "recovered host mail.example a+b+c"),
    ];
    let told: Vec<(i64, &str)> = told.iter().map(|(at, n)| (*at, n.as_str())).collect();
    assert_eq!(told, expected);
    assert!(story.all.is_empty());
}

#[test]
fn what_is_soon_over_is_not_told() {
    let mut story = Story::new(RULES);
    for start in (0..40_000).step_by(360) {
        assert!(story.run(start, &[("a", failed(&mailbox("a")))]).is_empty());
        assert!(
            story
                .run(start + 240, &[("a", failed(&mailbox("a")))])
                .is_empty()
        );
        assert!(story.run(start + 300, &[("a", End::Well)]).is_empty());
        assert!(story.all.is_empty());
    }
}

/// First the mail host, then, once the token has ended, the login host is not reached.
#[test]
fn a_line_that_is_down_is_one_incident() {
    let mut story = Story::new(RULES);
    assert!(story.run(0, &[("a", failed(&host("mail")))]).is_empty());
    let told = story.run(300, &[("a", failed(&host("login")))]);
    assert_eq!(told, ["opened host mail a"]);
    assert!(story.run(600, &[("a", failed(&mailbox("a")))]).is_empty());
    assert!(story.run(700, &[("a", End::Passed)]).is_empty());
    let told = story.run(900, &[("a", End::Well)]);
    assert_eq!(told, ["recovered host mail a"]);
}

#[test]
fn another_cause_is_another_incident() {
    let mut story = Story::new(RULES);
    let sign_in = IncidentName::new(IncidentKind::SignIn, "app");
    story.run(0, &[("a", failed(&mailbox("a")))]);
    assert_eq!(
        story.run(300, &[("a", failed(&mailbox("a")))]),
        ["opened mailbox a a"]
    );
    // The app cannot sign in any more, which all mailboxes meet.
    story.run(400, &[("a", failed(&sign_in)), ("b", failed(&sign_in))]);
    assert_eq!(
        story.run(700, &[("a", failed(&sign_in)), ("b", failed(&sign_in))]),
        ["opened sign-in app a+b"]
    );
    assert_eq!(story.run(800, &[("b", End::Well)]), [""; 0]);
    assert_eq!(
        story.run(900, &[("a", End::Well), ("b", End::Well)]),
        ["recovered mailbox a a", "recovered sign-in app a"]
    );
}

/// A wait that the server asked for is not an end of it, and a mailbox that was removed is.
#[test]
fn what_is_left_alone_lasts_and_what_is_removed_is_over() {
    let mut story = Story::new(RULES);
    story.run(
        0,
        &[("a", failed(&mailbox("a"))), ("z", failed(&mailbox("z")))],
    );
    assert_eq!(
        story.run(300, &[("a", End::Passed)]),
        ["opened mailbox a a"]
    );
    assert_eq!(story.all.len(), 1, "z is not configured: {:?}", story.all);
    assert_eq!(
        story.run(300 + 86_400, &[("a", End::Passed)]),
        ["repeated mailbox a a"]
    );
}

#[test]
fn a_clock_that_was_ahead_does_not_hold_a_notice_back() {
    let mut story = Story::new(RULES);
    let fails = || [("a", failed(&mailbox("a")))];
    story.run(1_000_000_000, &fails());
    assert!(story.run(1000, &fails()).is_empty());
    assert_eq!(story.run(1300, &fails()).len(), 1);
}

#[test]
fn a_notice_that_could_not_be_sent_is_sent_later_and_once() {
    let mut story = Story::new(Rules {
        sends: true,
        ..RULES
    });
    let fails = || [("a", failed(&mailbox("a")))];
    let events = |all: &[Notice]| all.iter().map(|n| n.event).collect::<Vec<_>>();
    story.run(0, &fails());
    assert_eq!(take_unsent(&mut story.all, 0), []);
    story.run(300, &fails());
    let first = take_unsent(&mut story.all, 300);
    assert_eq!(events(&first), [Event::Opened]);
    assert_eq!(take_unsent(&mut story.all, 330), [], "it is under way");
    story.run(420, &fails());
    let again = take_unsent(&mut story.all, 420);
    assert_eq!(again, first, "it failed");
    have_sent(&mut story.all, &again.iter().collect::<Vec<_>>());
    assert_eq!(take_unsent(&mut story.all, 1000), []);
    // The end of it cannot be sent at first.
    story.run(1000, &[("a", End::Well)]);
    let end = take_unsent(&mut story.all, 1000);
    assert_eq!(events(&end), [Event::Recovered]);
    assert!(story.run(1200, &[("a", End::Well)]).is_empty());
    assert_eq!(take_unsent(&mut story.all, 1200), end);
    have_sent(&mut story.all, &end.iter().collect::<Vec<_>>());
    assert!(story.all.is_empty());
}

#[test]
fn an_app_that_every_mailbox_refuses_is_one_incident() {
    let refused = |m: &str, is_refusal| Seen {
        sign_in: Some("app".into()),
        ..seen(
            m,
            End::Failed {
                name: mailbox(m),
                why: "NO".into(),
                is_refusal,
            },
        )
    };
    let names = |seen: &[Seen]| -> Vec<String> {
        let of = |s: &Seen| match &s.end {
            End::Failed { name, .. } => name.to_string(),
            other => format!("{other:?}"),
        };
        seen.iter().map(of).collect()
    };
    let mut all = [refused("a", true), refused("b", true), seen("c", End::Well)];
    super::super::join_refusals(&mut all);
    assert_eq!(names(&all), ["sign-in app", "sign-in app", "Well"]);
    for other in [
        vec![refused("a", true)],
        vec![refused("a", true), refused("b", false)],
        vec![
            refused("a", true),
            refused("b", true),
            Seen {
                sign_in: Some("app".into()),
                ..seen("c", End::Well)
            },
        ],
    ] {
        let mut all = other;
        super::super::join_refusals(&mut all);
        assert_eq!(names(&all)[0], "mailbox a");
    }
}

proptest! {
    /// Whatever fails when: each incident is opened, repeated no sooner than the rule has it, and
    /// recovers once; nothing is told of what never opened.
    #[test]
    fn notices_come_in_order_and_seldom(
        steps in prop::collection::vec((1_i64..4000, prop::collection::vec((0..3_usize, 0..6_u8), 0..4)), 1..60),
        after in 0_i64..2000,
        repeat in 60_i64..20_000,
        sends: bool,
    ) {
        let rules = Rules { after, repeat, sends };
        let mut all = Vec::new();
        let mut now = 0;
        let mut open: std::collections::BTreeMap<String, (i64, i64)> = Default::default();
        for (passed, ends) in steps {
            now += passed;
            let names = ["a", "b", "c"];
            let ends = ends.iter().map(|(m, end)| {
                let m = names[*m];
                seen(m, match end {
                    0 | 1 => End::Well,
                    2 => End::Passed,
                    3 => failed(&host("x")),
                    4 => failed(&IncidentName::new(IncidentKind::SignIn, "y")),
                    _ => failed(&mailbox(m)),
                })
            }).collect();
            let observed = Observed {
                seen: ends,
                configured: names.map(str::to_owned).into(),
                single: Vec::new(),
            };
            for notice in observe(&mut all, &observed, &rules, now) {
                let name = notice.name.to_string();
                prop_assert!(!notice.mailboxes.is_empty());
                prop_assert_eq!(notice.at, now);
                match (notice.event, open.get(&name).copied()) {
                    (Event::Opened, None) => {
                        prop_assert!(now - notice.since >= after);
                        open.insert(name, (notice.since, now));
                    }
                    (Event::Repeated, Some((since, last))) => {
                        prop_assert!(now - last >= repeat);
                        prop_assert_eq!(since, notice.since);
                        open.insert(name, (since, now));
                    }
                    (Event::Recovered, Some((since, _))) => {
                        prop_assert_eq!(since, notice.since);
                        open.remove(&name);
                    }
                    (event, known) => prop_assert!(false, "{event:?} {name} after {known:?}"),
                }
            }
            for sent in take_unsent(&mut all, now) {
                have_sent(&mut all, &[&sent]);
            }
            prop_assert!(all.iter().all(|i| i.unsent.is_none() && i.closed_at.is_none()));
        }
    }
}
