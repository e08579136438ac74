//! `send`: messages from standard input or files go out, each with its own verdict.

mod verdict;
mod way;

use super::{Access, Context};
use crate::cli::SendArgs;
use crate::config::{self, Config, resolve};
use crate::fault::{Errors, Fault, Kind, Scene};
use crate::mail::message::Draft;
use crate::mail::{Envelope, Notifications, Receipt, Transport, addresses};
use crate::state::Store;
use crate::submit::{self, Route};
use anyhow::{Context as _, Result};
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;
use way::{Way, Ways};

/// Octets of the largest message that we read: above the 150 MiB of Exchange's transport.
const MAX_MESSAGE: u64 = 200 << 20;

/// A message, ready, with its way.
struct Mail<'a> {
    /// How to name it: its file, if it has one.
    file: Option<&'a Path>,
    route: Route<'a>,
    envelope: Envelope,
    octets: Vec<u8>,
    message_id: String,
}

pub fn run(context: &Context, args: &SendArgs) -> Result<(), Errors> {
    refuse_other_modes(args)?;
    let notifications = notifications(args)?;
    let config = config::load(&context.config_path)?;
    let store = Store::open(&context.state_dir)?;
    let fresh_access = Access::new(context, &config, &store).fresh(true);
    let access = Access::new(context, &config, &store);
    let trace = |line: &str| context.output.trace(line);
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() {
        &stdin[..]
    } else {
        &args.files
    };
    let several = files.len() > 1;
    let start = Instant::now();
    let mut post = Post {
        ways: Ways {
            context,
            config: &config,
            store: &store,
            access: &access,
            fresh_access: &fresh_access,
            trace: &trace,
        },
        open: None,
        shut: Vec::new(),
        way: Way::Smtp,
    };
    let mut tally = verdict::Tally::default();
    let mut errors = Vec::new();
    for file in files {
        let result = prepare(context, &config, args, &notifications, file).and_then(|mail| {
            if args.dry_run {
                return post.foretell(&mail);
            }
            let result = post.submit(&mail);
            tally.count(&mail, &result);
            verdict::tell(context, &mail, &result)?;
            verdict::judge(&mail, result?, post.scene(&mail.route))
        });
        if let Err(err) = result {
            errors.push(match several {
                true => err.context(format!("cannot send `{}`", file.display())),
                false => err,
            });
        }
    }
    post.close();
    if several && context.output.json && !args.dry_run {
        tally.tell(context, files.len(), start.elapsed())?;
    }
    Errors::none_or(errors)
}

/// Reads a message and decides everything about it that needs no connection.
fn prepare<'a>(
    context: &Context,
    config: &'a Config,
    args: &SendArgs,
    notifications: &Notifications,
    file: &'a Path,
) -> Result<Mail<'a>> {
    let from_stdin = file == Path::new("-");
    let octets = if from_stdin {
        let ignore_dots = args.ignore_dots || args.options.iter().any(|o| o == "i");
        let (octets, left) = read_stdin(ignore_dots)?;
        if left > 0 {
            context.output.warn(&format!(
                "the message ends at a line with a single dot; {left} octets after it are not sent (-i keeps them)"
            ));
        }
        octets
    } else {
        read_file(file)?
    };
    let draft = Draft::read(octets)?;
    let mut found = Vec::new();
    for text in &args.recipients {
        let parsed = addresses::parse(text).map_err(|why| {
            Fault::usage(format!(
                "cannot read the recipient `{}`: {why}",
                text.escape_debug()
            ))
        })?;
        found.extend(parsed);
    }
    if args.from_header {
        found.extend(draft.recipients()?);
    }
    let to = distinct(found)?;
    if to.is_empty() {
        let fault = Fault::new(Kind::UnknownRecipient, "the message has no recipient");
        return Err(match args.from_header {
            true => fault.hint("To, Cc and Bcc name nobody"),
            false => fault.hint("name them, or take them from To, Cc and Bcc with -t"),
        }
        .into());
    }
    let sender = sender(args, &draft)?;
    let route = submit::route(config, &sender)?;
    let prepared = draft.prepare(
        &sender,
        args.full_name.as_deref(),
        &jiff::ZonedDateTime::now(),
    )?;
    Ok(Mail {
        file: (!from_stdin).then_some(file),
        route,
        envelope: Envelope {
            from: Some(sender),
            to,
            notifications: notifications.clone(),
        },
        octets: prepared.octets,
        message_id: prepared.message_id,
    })
}

/// `-f`, else the From field.
fn sender(args: &SendArgs, draft: &Draft) -> Result<String> {
    let sender = match &args.from {
        Some(text) => match &addresses::parse(text).as_deref() {
            Ok([one]) => one.clone(),
            _ => {
                return Err(Fault::usage(format!(
                    "`-f {}` is no e-mail address",
                    text.escape_debug()
                ))
                .into());
            }
        },
        None => draft.sender()?.ok_or_else(|| {
            Fault::new(Kind::Malformed, "the message has no From field")
                .hint("add one, or name the sender with -f")
        })?,
    };
    Ok(sender)
}

/// Full addresses, each once: the domain is the same in any case (RFC 5321 §2.4).
fn distinct(found: Vec<String>) -> Result<Vec<String>> {
    let mut to: Vec<String> = Vec::new();
    for address in found {
        if !addresses::is_mailbox(&address) {
            return Err(Fault::new(
                Kind::UnknownRecipient,
                format!(
                    "the recipient `{}` is no full e-mail address",
                    address.escape_debug()
                ),
            )
            .into());
        }
        let same = |other: &String| {
            let split = |a: &str| a.len() - addresses::domain(a).len();
            other[..split(other)] == address[..split(&address)]
                && addresses::domain(other).eq_ignore_ascii_case(addresses::domain(&address))
        };
        if !to.iter().any(same) {
            to.push(address);
        }
    }
    Ok(to)
}

/// sendmail has modes in which it is a server or shows things; we only send.
fn refuse_other_modes(args: &SendArgs) -> Result<(), Fault> {
    let what = match args.mode.as_deref() {
        None | Some("m") => return Ok(()),
        Some("s") => "speak SMTP on standard input",
        Some("d" | "D") => "run as a mail server",
        Some("p") => "list a queue of sendmail",
        Some("i") => "keep aliases",
        Some(_) => "do anything but send",
    };
    let mode = args.mode.as_deref().unwrap_or_default();
    Err(Fault::usage(format!(
        "`-b{mode}` asks to {what}, which this program does not"
    ))
    .hint("give one message on standard input: queuemail send -t < MESSAGE"))
}

fn notifications(args: &SendArgs) -> Result<Notifications, Fault> {
    let notify = args.notify.as_ref().map(|text| {
        let upper = text.to_ascii_uppercase();
        let words = ["SUCCESS", "FAILURE", "DELAY"];
        if upper == "NEVER" || upper.split(',').all(|w| words.contains(&w)) {
            return Ok(upper);
        }
        Err(Fault::usage(format!(
            "`-N {}` is not known: use never, or some of success,failure,delay",
            text.escape_debug()
        )))
    });
    let returned = args.returned.as_ref().map(|text| match text.as_str() {
        "full" | "FULL" => Ok("FULL".to_owned()),
        "hdrs" | "HDRS" => Ok("HDRS".to_owned()),
        _ => Err(Fault::usage(format!(
            "`-R {}` is not known: use full or hdrs",
            text.escape_debug()
        ))),
    });
    Ok(Notifications {
        notify: notify.transpose()?,
        returned: returned.transpose()?,
        envelope_id: args.envelope_id.clone(),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::File::open(path)
        .and_then(bounded)
        .map_err(|e| Fault::usage(format!("cannot read `{}`: {e}", path.display())).into())
}

fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    from.take(MAX_MESSAGE + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > MAX_MESSAGE {
        return Err(io::Error::other(format!("more than {MAX_MESSAGE} octets")));
    }
    Ok(octets)
}

/// The message on standard input: up to its end or, as with sendmail, up to a line with a
/// single dot; and how many octets came after that.
fn read_stdin(ignore_dots: bool) -> Result<(Vec<u8>, u64)> {
    let mut stdin = io::stdin().lock();
    let cannot = |e: io::Error| Fault::usage(format!("cannot read standard input: {e}"));
    if ignore_dots {
        return Ok((bounded(stdin).map_err(cannot)?, 0));
    }
    let terminal = stdin.is_terminal();
    let mut octets = Vec::new();
    let mut input = (&mut stdin).take(MAX_MESSAGE + 1);
    loop {
        let start = octets.len();
        if input.read_until(b'\n', &mut octets).map_err(cannot)? == 0 {
            break;
        }
        if matches!(&octets[start..], b".\n" | b".\r\n" | b".") {
            octets.truncate(start);
            // A person types nothing more; a program that is not read to its end would die of
            // a broken pipe.
            let left = match terminal {
                true => 0,
                false => io::copy(&mut stdin, &mut io::sink()).map_err(cannot)?,
            };
            return Ok((octets, left));
        }
    }
    if octets.len() as u64 > MAX_MESSAGE {
        return Err(cannot(io::Error::other(format!("more than {MAX_MESSAGE} octets"))).into());
    }
    Ok((octets, 0))
}

/// One connection for all messages of an outgoing server and user, one after the other.
struct Post<'a> {
    ways: Ways<'a>,
    open: Option<(Sender<'a>, Way, Box<dyn Transport + 'a>)>,
    /// Senders that failed: the messages after the first are not tried again, lest an account be
    /// locked.
    shut: Vec<(Sender<'a>, Fault)>,
    /// The way that was taken last, for what an error says.
    way: Way,
}

/// What messages share that share a connection: the outgoing server's name and the user.
type Sender<'a> = (&'a str, &'a str);

impl<'a> Post<'a> {
    fn submit(&mut self, mail: &Mail<'a>) -> Result<Receipt> {
        let route = &mail.route;
        let sender = (route.outgoing.name.as_str(), route.user());
        if let Some((_, fault)) = self.shut.iter().find(|(shut, _)| *shut == sender) {
            return Err(anyhow::Error::new(fault.clone()).context(self.scene(route)));
        }
        let mut result = self
            .transport(sender, route)
            .and_then(|transport| transport.submit(&mail.envelope, &mail.octets));
        if let Err(err) = &result
            && let Some(other) = self.ways.another(route, self.way, err)?
        {
            self.close();
            self.way = other;
            result = self
                .transport(sender, route)
                .and_then(|transport| transport.submit(&mail.envelope, &mail.octets));
        }
        if let Err(err) = &result
            && let Some(fault) = err.downcast_ref::<Fault>()
        {
            self.shut.push((sender, fault.clone()));
        }
        result.with_context(|| self.scene(route))
    }

    fn transport(
        &mut self,
        sender: Sender<'a>,
        route: &Route<'a>,
    ) -> Result<&mut (dyn Transport + 'a)> {
        let open = match self.open.take() {
            Some(open) if open.0 == sender => open,
            other => {
                self.open = other;
                self.close();
                self.way = self.ways.choose(route)?;
                (sender, self.way, self.ways.open(route, self.way)?)
            }
        };
        self.way = open.1;
        Ok(self.open.insert(open).2.as_mut())
    }

    fn scene(&self, route: &Route<'a>) -> Scene {
        let queue = &route.entry.queue.name;
        let registration = resolve::outgoing(self.ways.config, route.outgoing).ok();
        Scene {
            queue: Some(queue.clone()),
            address: Some(route.entry.address.address.to_string()),
            account: Some(self.way.user(route).to_owned()),
            server: Some(route.outgoing.name.clone()),
            tenant: Some(route.outgoing.tenant.to_string()),
            client_id: registration.map(|r| r.client_id.to_string()),
            host: self.ways.host(route, self.way),
            protocol: Some(self.way.name().to_owned()),
            ..Scene::new(format!("cannot send for queue `{queue}`"))
        }
    }

    /// What would be sent, how and by whom.
    fn foretell(&self, mail: &Mail<'a>) -> Result<()> {
        let ways = &self.ways;
        let route = &mail.route;
        // Nothing is asked for here: a way that is not known yet stays open.
        let (place, user) = match ways.known(route)? {
            Some(way) => (ways.place(route, way)?, way.user(route)),
            None => {
                let smtp = ways.place(route, Way::Smtp)?;
                let graph = ways.place(route, Way::Graph)?;
                (format!("{smtp} or {graph}"), route.user())
            }
        };
        let from = mail.envelope.from.as_deref().unwrap_or_default();
        let output = &ways.context.output;
        if output.json {
            return output.json(&json!({
                "event": "would-send",
                "file": mail.file.map(|f| f.display().to_string()),
                "queue": mail.route.entry.queue.name,
                "from": from,
                "to": mail.envelope.to,
                "outgoing_server": mail.route.outgoing.name,
                "transport": place,
                "user": user,
                "size": mail.octets.len(),
                "message_id": mail.message_id,
                "config": ways.context.config_path.display().to_string(),
            }));
        }
        let safe = crate::output::escape;
        let name = &route.outgoing.name;
        output.line(&format!("would send {} octets", mail.octets.len()))?;
        output.line(&format!(
            "  from {} (queue {})",
            safe(from),
            mail.route.entry.queue.name
        ))?;
        output.line(&format!("  to {}", safe(&mail.envelope.to.join(", "))))?;
        output.line(&format!("  through {name}: {place} as {user}"))?;
        output.line(&format!("  Message-ID {}", safe(&mail.message_id)))?;
        output.line(&format!(
            "  configuration {}",
            ways.context.config_path.display()
        ))
    }

    fn close(&mut self) {
        if let Some((.., mut transport)) = self.open.take() {
            transport.close();
        }
    }
}
