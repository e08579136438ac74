//! What Exchange does with a submitted message, by whatever door it came: who may send as whom,
//! delivery to the tenant's mailboxes, and the copy in Sent Items.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::Value;

use super::faults::or_usual;
use super::message::{bare_address, field, with_field};
use super::records::Submission;
use super::tokens;
use super::world::{World, guid, now};

pub struct Envelope {
    pub from: String,
    pub parameters: Vec<String>,
    pub recipients: Vec<String>,
    pub recipient_parameters: Vec<Vec<String>>,
}

/// Accepts or refuses; gives the SMTP reply.
pub fn submit(
    world: &World,
    claims: &Value,
    mailbox: &str,
    envelope: Envelope,
    bytes: Vec<u8>,
) -> String {
    let host = "Hostname=LOCALHOST.eurprd00.prod.outlook.com";
    if !tokens::may_open(claims, world.store().existing(mailbox)) {
        return format!(
            "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed; Failed to process message due to a transient exception with message Cannot open mailbox. [{host}]"
        );
    }
    accept(world, mailbox, envelope, bytes)
}

/// The same for whoever has the right to the mailbox.
pub fn accept(world: &World, mailbox: &str, envelope: Envelope, bytes: Vec<u8>) -> String {
    let faults = &world.faults;
    let host = "Hostname=LOCALHOST.eurprd00.prod.outlook.com";
    let limit = or_usual(&faults.smtp_size_limit, 36_700_160);
    if bytes.len() as u64 > limit {
        return format!(
            "554 5.2.3 STOREDRV.Submission.Exception:MessageTooLargeException; message size {} exceeds the limit of {limit} [{host}]",
            bytes.len()
        );
    }
    let mut store = world.store();
    let own = store.existing(mailbox);
    let header_from = field(&bytes, "From").unwrap_or_default();
    for sender in [envelope.from.as_str(), bare_address(&header_from)] {
        let sender = sender.to_ascii_lowercase();
        let is_own = sender == own.address.to_ascii_lowercase() || sender.is_empty();
        if is_own || own.send_as.contains(&sender) {
            continue;
        }
        if faults.smtp_old_send_as.load(SeqCst) {
            return "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
                .into();
        }
        return format!(
            "554 5.2.252 SendAsDenied; {mailbox} not allowed to send as {sender}; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception with message Cannot submit message. [{host}]"
        );
    }
    let (bytes_out, id) = stamp(world, &bytes);
    let shared = Arc::new(bytes_out);
    for recipient in &envelope.recipients {
        if let Some(target) = store.get(recipient) {
            target
                .existing("INBOX")
                .add(shared.clone(), Vec::new(), now());
        }
    }
    if !faults.no_sent_copy.load(SeqCst) {
        let seen = vec!["\\Seen".to_string()];
        if let Some(sent) = store.existing(mailbox).folder("Sent Items") {
            sent.add(shared, seen, now());
        }
    }
    drop(store);
    world.submitted.lock().unwrap().push(Submission {
        mailbox: mailbox.to_string(),
        from: envelope.from,
        recipients: envelope.recipients,
        mail_parameters: envelope.parameters,
        recipient_parameters: envelope.recipient_parameters,
        bytes,
        message_id_used: id.clone(),
    });
    format!("250 2.0.0 OK {id} [{host}]")
}

/// The message as Exchange keeps it, and its Message-ID.
fn stamp(world: &World, bytes: &[u8]) -> (Vec<u8>, String) {
    let mut out = bytes.to_vec();
    let mut id = field(bytes, "Message-ID").unwrap_or_default();
    if id.is_empty() || world.faults.replace_message_id.load(SeqCst) {
        id = format!("<{}@LOCALHOST.eurprd00.prod.outlook.com>", guid());
        out = with_field(&out, "Message-ID", &id);
    }
    if world.faults.add_received.load(SeqCst) {
        let time = jiff::Timestamp::from_second(now()).unwrap();
        let line = format!(
            "Received: from LOCALHOST.eurprd00.prod.outlook.com ([127.0.0.1]) by localhost with mapi; {}\r\n",
            time.strftime("%a, %-d %b %Y %H:%M:%S +0000")
        );
        out = [line.as_bytes(), &out].concat();
    }
    (out, id)
}
