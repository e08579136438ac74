//! Mail leaves by Graph: sendMail with the whole message in MIME, or a draft with uploads.
//!
//! Graph has no envelope: it sends to whom the header names. So recipients that only the
//! envelope names are put into a Bcc field of the copy that goes out, which Graph takes off, and
//! a message whose header names more is refused. Only 202 is a success: 200 has been seen for
//! messages that were never sent, and a gateway's 504 for messages that were.

use super::addressed::addressed;
use super::client::{Client, IMMUTABLE};
use super::faults::{Failure, Meaning, Refusal};
use super::parts::{self, Apart, Attachment};
use crate::fault::{Cause, Fault, Kind};
use crate::http::Agent;
use crate::mail::{Envelope, Outcome, Receipt, TokenSource, Transport};
use crate::secret::Secret;
use ::http::Method;
use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A message up to so many octets goes in one request. Graph takes requests of 4 MB, but MIME
/// above 2240 kB has been answered with 200 and was not sent.
const DIRECT: usize = 2_240_000;
/// An attachment below this goes in one request of 4 MB in base64; one above is uploaded, which
/// Graph refuses for smaller ones. The documentation says 3 MB, and not whether these are 2²⁰.
const SURELY_SMALL: usize = 2_900_000;
/// Graph's word for an attachment that is not to be uploaded.
const TOO_SMALL: &str = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize";
/// The largest attachment that can be uploaded.
const LARGEST: usize = 150 << 20;
/// Octets of a piece of an upload: a multiple of 320 KiB below 4 MB.
const PIECE: usize = 10 * (320 << 10);
const WHAT: &str = "cannot send";

/// Sends for one mailbox.
pub struct Graph<'a> {
    client: Client,
    token: TokenSource<'a>,
}

/// A way for mail of the mailbox `user` (an address or GUID) to leave by the service root `root`.
///
/// # Errors
/// `Config` where `root` is not an address.
pub fn transport<'a>(
    agent: Agent,
    root: &str,
    user: &str,
    token: impl Fn(bool) -> Result<Secret> + 'a,
) -> Result<Graph<'a>> {
    Ok(Graph {
        client: Client::new(agent, root, user, Secret::new(""))?,
        token: Box::new(token),
    })
}

impl Transport for Graph<'_> {
    fn submit(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        before_end: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Receipt> {
        let copy = match addressed(envelope, message)? {
            Ok(copy) => copy,
            Err(why) => return Ok(not_sent(why)),
        };
        // For each message: in a long batch the token is renewed in time.
        self.client.set_token((self.token)(false)?);
        if copy.len() <= DIRECT {
            before_end()?;
            return self.post(&["sendMail"], Some(&copy), None);
        }
        let apart = parts::take_apart(&copy, SURELY_SMALL);
        if apart.rest.len() <= DIRECT {
            return self.by_draft(&apart, before_end);
        }
        let largest = apart.largest.map_or_else(String::new, |part| {
            let what = crate::output::escape(&part.what);
            format!(" (its part `{what}` {})", part.why)
        });
        Ok(not_sent(format!(
            "the message has {} bytes without the attachments that can be uploaded, and Graph accepts {DIRECT}{largest}; send it through SMTP",
            apart.rest.len()
        )))
    }

    fn close(&mut self) {}
}

impl Graph<'_> {
    /// The request that sends. After it nothing is certain but by its answer.
    fn post(
        &mut self,
        path: &[&str],
        mime: Option<&[u8]>,
        message_id: Option<String>,
    ) -> Result<Receipt> {
        let url = self.client.url(path);
        let mime = mime.map(|octets| STANDARD.encode(octets));
        let body = mime.as_ref().map(|text| ("text/plain", text.as_bytes()));
        let (mut asked, mut renewed) = (0, false);
        let receipt = loop {
            let response = match self.client.open(&Method::POST, &url, IMMUTABLE, body) {
                Ok(response) => response,
                Err(lost) if lost.handed_over => {
                    break Receipt::failed(Outcome::Unknown, lost.fault);
                }
                // It may have been this message's fault: the next is tried too.
                Err(lost) if lost.begun => break later(lost.fault),
                Err(lost) => return Err(lost.fault.into()),
            };
            let status = response.status().as_u16();
            if response.status().is_success() {
                let id = self.client.request_id(&response);
                let id = id.as_deref().unwrap_or("none");
                let said = format!("{} (request-id {id})", response.status());
                let mut receipt = match status {
                    202 => Receipt::of(Outcome::Accepted),
                    _ => unknown(format!(
                        "`{}` answered {status} instead of 202, and in the past such messages were never sent",
                        self.client.host()
                    )),
                };
                receipt.server_said = Some(said);
                break receipt;
            }
            let refusal = self.client.refusal(response);
            asked += 1;
            // A token may have been withdrawn before its time: one more try with a new one.
            if refusal.meaning() == Meaning::BadToken && !std::mem::replace(&mut renewed, true) {
                self.client.set_token((self.token)(true)?);
            } else if !self.client.may_wait(&refusal, asked) {
                break self.refused(refusal)?;
            }
        };
        Ok(Receipt {
            message_id,
            ..receipt
        })
    }

    /// What a refusal means for the message; an error where it is not about the message.
    fn refused(&self, refusal: Refusal) -> Result<Receipt> {
        let send_as = refusal.code.eq_ignore_ascii_case("ErrorSendAsDenied");
        let outcome = match refusal.meaning() {
            Meaning::Forbidden if send_as => Outcome::Refused { for_good: true },
            Meaning::BadToken
            | Meaning::Forbidden
            | Meaning::NoMailbox
            | Meaning::Throttled
            | Meaning::Passing
            | Meaning::Blocked => {
                return Err(self.client.fault(WHAT, Failure::from(refusal)));
            }
            Meaning::Trouble if refusal.is_undone() => Outcome::Refused { for_good: false },
            Meaning::Trouble => Outcome::Unknown,
            Meaning::Gone | Meaning::SyncStateLost | Meaning::BadItem | Meaning::Other => {
                Outcome::Refused { for_good: true }
            }
        };
        let mut receipt = Receipt::of(outcome);
        if outcome == Outcome::Unknown {
            receipt = unknown(format!(
                "`{}` answered {}; the message may or may not have been accepted",
                self.client.host(),
                refusal.status
            ));
        }
        receipt.server_said = Some(refusal.words_and_id());
        let invalid = refusal.code.eq_ignore_ascii_case("ErrorInvalidRecipients");
        receipt.cause = match (send_as, invalid) {
            (true, _) => Some(Cause::SendAsDenied),
            (_, true) => Some(Cause::RecipientsRefused),
            _ => None,
        };
        Ok(receipt)
    }

    /// A draft without the attachments, these one by one, and then the draft is sent. Until then
    /// nothing has gone out, and a draft that fails is taken away again.
    fn by_draft(
        &mut self,
        apart: &Apart,
        before_end: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Receipt> {
        let attachments = &apart.attachments;
        if let Some(large) = attachments.iter().find(|a| a.octets.len() > LARGEST) {
            return Ok(not_sent(format!(
                "the attachment `{}` has {} bytes, and Graph accepts {LARGEST}",
                crate::output::escape(&large.name),
                large.octets.len()
            )));
        }
        let mime = STANDARD.encode(&apart.rest);
        let url = self.client.url(&["messages"]);
        let draft = self.client.patiently(|| {
            let body = Some(("text/plain", mime.as_bytes()));
            let response = self.client.call(&Method::POST, &url, IMMUTABLE, body)?;
            self.client.read_json::<Value>(response)
        });
        let draft = match draft {
            Ok(draft) => draft,
            Err(failure) => return self.before_sending(failure),
        };
        let Some(id) = draft["id"].as_str().filter(|id| super::is_id(id)) else {
            return Err(Fault::try_later("a draft came without an id").into());
        };
        for attachment in attachments {
            if let Err(failure) = self.attach(id, attachment) {
                self.drop_draft(id);
                return match failure {
                    // The draft came through: it may be this attachment alone that does not.
                    Failure::Lost(fault) if fault.kind == Kind::TryLater => Ok(later(fault)),
                    failure => self.before_sending(failure),
                };
            }
        }
        let message_id = draft["internetMessageId"].as_str().map(str::to_owned);
        let send = || self.post(&["messages", id, "send"], None, message_id);
        let sent = before_end().and_then(|()| send());
        let refused = match &sent {
            Ok(receipt) => matches!(receipt.outcome, Outcome::Refused { .. }),
            Err(_) => true,
        };
        if refused {
            self.drop_draft(id);
        }
        sent
    }

    /// A failure while nothing can have gone out.
    fn before_sending(&self, failure: Failure) -> Result<Receipt> {
        match failure {
            Failure::Refused(refusal) => {
                let mut receipt = self.refused(*refusal)?;
                if receipt.outcome == Outcome::Unknown {
                    receipt.outcome = Outcome::Refused { for_good: false };
                    receipt.why = None;
                }
                Ok(receipt)
            }
            lost => Err(self.client.fault(WHAT, lost)),
        }
    }

    fn attach(&self, draft: &str, attachment: &Attachment) -> Result<(), Failure> {
        if attachment.octets.len() < SURELY_SMALL {
            return self.attach_small(draft, attachment);
        }
        match self.upload(draft, attachment) {
            // Where 3 MB end is not documented to the octet.
            Err(Failure::Refused(refusal)) if refusal.code.eq_ignore_ascii_case(TOO_SMALL) => {
                self.attach_small(draft, attachment)
            }
            done => done,
        }
    }

    fn attach_small(&self, draft: &str, attachment: &Attachment) -> Result<(), Failure> {
        let url = self.client.url(&["messages", draft, "attachments"]);
        let mut body = json!({
            "@odata.type": "#microsoft.graph.fileAttachment",
            "name": attachment.name,
            "contentType": attachment.content_type,
            "isInline": attachment.inline,
            "contentBytes": STANDARD.encode(&attachment.octets),
        });
        if let Some(id) = &attachment.content_id {
            body["contentId"] = json!(id);
        }
        let attached: Value = self
            .client
            .json(&Method::POST, &url, IMMUTABLE, Some(&body))?;
        match attached["id"].is_string() {
            true => Ok(()),
            false => Err(Fault::try_later("an attachment came back without an id").into()),
        }
    }

    fn upload(&self, draft: &str, attachment: &Attachment) -> Result<(), Failure> {
        let size = attachment.octets.len();
        let url = self
            .client
            .url(&["messages", draft, "attachments", "createUploadSession"]);
        let mut item = json!({
            "attachmentType": "file",
            "name": attachment.name,
            "contentType": attachment.content_type,
            "size": size,
        });
        if let Some(id) = &attachment.content_id {
            item["contentId"] = json!(id);
        }
        let body = json!({"AttachmentItem": item});
        let session: Value = self
            .client
            .json(&Method::POST, &url, IMMUTABLE, Some(&body))?;
        let Some(address) = session["uploadUrl"].as_str() else {
            return Err(Fault::try_later("an upload session came without an address").into());
        };
        let mut status = 0;
        for (n, piece) in attachment.octets.chunks(PIECE).enumerate() {
            let start = n * PIECE;
            let range = format!("bytes {start}-{}/{size}", start + piece.len() - 1);
            status = self.client.put(address, &range, piece)?;
        }
        match status {
            201 => Ok(()),
            other => {
                Err(Fault::try_later(format!("an upload ended with {other} instead of 201")).into())
            }
        }
    }

    fn drop_draft(&self, id: &str) {
        let url = self.client.url(&["messages", id]);
        // Best effort: a draft that stays behind was not sent.
        let _ = self
            .client
            .json::<Value>(&Method::DELETE, &url, IMMUTABLE, None);
    }
}

fn not_sent(why: String) -> Receipt {
    let outcome = Outcome::Refused { for_good: true };
    Receipt::failed(outcome, Fault::refused(why))
}

fn later(fault: Fault) -> Receipt {
    Receipt::failed(Outcome::Refused { for_good: false }, fault)
}

fn unknown(why: String) -> Receipt {
    Receipt::failed(Outcome::Unknown, Fault::new(Kind::OutcomeUnknown, why))
}
