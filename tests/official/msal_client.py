"""MSAL, Microsoft's own client of Entra ID, against an authority: gets tokens by one grant.

msal_client.py GRANT SETTINGS: SETTINGS is JSON; prints what MSAL answered as JSON, a line each.
"""

import json
import ssl
import sys
import urllib.error
import urllib.request
from urllib.parse import parse_qsl, urlsplit

import msal
import requests


class Client(requests.Session):
    """Reaches the authority at its port, which MSAL leaves out where it asks for a user's realm."""

    def __init__(self, authority, ca_file):
        super().__init__()
        self.netloc = urlsplit(authority).netloc
        self.verify = ca_file
        self.trust_env = False

    def request(self, method, url, **kwargs):
        url = urlsplit(url)._replace(netloc=self.netloc).geturl()
        return super().request(method, url, **kwargs)


def show(result):
    print(json.dumps(result), flush=True)


class Grants:
    def __init__(self, settings):
        self.__dict__.update(settings)

    def application(self, kind, **kwargs):
        return kind(
            self.client_id,
            authority=self.authority,
            instance_discovery=False,
            http_client=Client(self.authority, self.ca_file),
            **kwargs,
        )

    def public(self):
        return self.application(msal.PublicClientApplication)

    def ask_service(self):
        """Client credentials; the second time MSAL's cache answers."""
        app = self.application(
            msal.ConfidentialClientApplication, client_credential=self.credential
        )
        show(app.acquire_token_for_client(self.scopes))
        show(app.acquire_token_for_client(self.scopes))

    def ask_password(self):
        show(
            self.public().acquire_token_by_username_password(
                self.user, self.password, self.scopes
            )
        )

    def ask_device(self):
        app = self.public()
        flow = app.initiate_device_flow(self.scopes)
        show(flow)
        show(app.acquire_token_by_device_flow(flow))

    def ask_code(self):
        """Authorization code with PKCE, state and nonce; twice, the second verifier is wrong."""
        app = self.public()
        for verifier in [None, "w" * 43]:
            flow = app.initiate_auth_code_flow(
                self.scopes, redirect_uri="http://localhost:8400", login_hint=self.user
            )
            answer = self.browse(flow["auth_uri"])
            if verifier:
                flow["code_verifier"] = verifier
            show(app.acquire_token_by_auth_code_flow(flow, answer))

    def browse(self, address):
        """What the browser that went to the address is sent back with."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args):
                return None

        tls = ssl.create_default_context(cafile=self.ca_file)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls), Stay
        )
        try:
            opener.open(address, timeout=30)
        except urllib.error.HTTPError as answer:
            return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    def ask_refresh(self):
        """Signs in, and has the token renewed when told: once, and in vain."""
        app = self.public()
        show(
            app.acquire_token_by_username_password(self.user, self.password, self.scopes)
        )
        [account] = app.get_accounts()
        show(account)
        for _ in range(2):
            sys.stdin.readline()
            show(
                app.acquire_token_silent_with_error(
                    self.scopes, account, force_refresh=True
                )
            )


getattr(Grants(json.loads(sys.argv[2])), "ask_" + sys.argv[1])()
