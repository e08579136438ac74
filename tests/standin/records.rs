//! What the servers write down for a test to look at.

/// A message that SMTP accepted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The mailbox that was signed in.
    pub mailbox: String,
    /// MAIL FROM.
    pub from: String,
    /// RCPT TO, the accepted ones.
    pub recipients: Vec<String>,
    /// ESMTP parameters of MAIL (`SIZE=…`, `BODY=8BITMIME`, …).
    pub mail_parameters: Vec<String>,
    /// ESMTP parameters of each accepted RCPT.
    pub recipient_parameters: Vec<Vec<String>>,
    /// The message as it came.
    pub bytes: Vec<u8>,
    /// The Message-ID that Exchange kept or chose.
    pub message_id_used: String,
}

/// A request to the token endpoint, without anything secret.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    pub tenant: String,
    pub grant_type: String,
    pub client_id: String,
    pub scope: String,
    /// Of the password grant.
    pub username: String,
    /// `client_secret_post`, `client_secret_basic`, `private_key_jwt` or `none`.
    pub authentication: &'static str,
    /// `jti` of a client assertion.
    pub assertion: Option<String>,
    pub user_agent: String,
}

/// A request of Graph and what it was answered with; within a batch, each part is one, too.
#[derive(Clone, Debug)]
pub struct GraphCall {
    pub method: String,
    /// Below the service root, as it came; within a batch, as the batch has it.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub status: u16,
    /// Content type and octets.
    pub answer: (&'static str, Vec<u8>),
}
