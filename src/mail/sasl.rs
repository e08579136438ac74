//! SASL strings that carry an access token: XOAUTH2 and OAUTHBEARER. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The initial response of XOAUTH2 in base64: `user=` and `auth=Bearer `, each ended by 0x01.
pub fn xoauth2(user: &str, token: &str) -> String {
    STANDARD.encode(format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}"))
}

/// The initial response of OAUTHBEARER (RFC 7628 §3.1) in base64.
pub fn oauthbearer(user: &str, host: &str, port: u16, token: &str) -> String {
    // RFC 5801 §4: `=` and `,` are escaped in an authorization identity.
    let user = user.replace('=', "=3D").replace(',', "=2C");
    STANDARD.encode(format!(
        "n,a={user},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {token}\u{1}\u{1}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xoauth2_is_what_microsoft_documents() {
        assert_eq!(
            xoauth2(
                "test@contoso.onmicrosoft.com",
                "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA"
            ),
            "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ=="
        );
    }
}
