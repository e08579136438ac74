"""Microsoft's own Graph client for Python against a service root: signs in, reads and sends.

official_client.py AUTHORITY ROOT CA_FILE CLIENT_ID SECRET USER: prints what it found as JSON. That
it understands the stand-in's answers shows that their shapes are not only ours.
"""

import asyncio
import base64
import json
import ssl
import sys
from urllib.parse import urlsplit

import httpx
from azure.identity import ClientSecretCredential
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.mail_folder import MailFolder
from msgraph.generated.models.message import Message
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.users.item.messages.item.move.move_post_request_body import (
    MovePostRequestBody,
)
from msgraph.generated.users.item.send_mail.send_mail_post_request_body import (
    SendMailPostRequestBody,
)


async def main(authority, root, ca_file, client_id, secret, address):
    login, tenant = authority.rsplit("/", 1)
    credential = ClientSecretCredential(
        tenant,
        client_id,
        secret,
        authority=login,
        disable_instance_discovery=True,
        connection_verify=ca_file,
    )
    provider = AzureIdentityAuthenticationProvider(
        credential,
        scopes=["https://graph.microsoft.com/.default"],
        allowed_hosts=[urlsplit(root).hostname],
    )
    http = httpx.AsyncClient(verify=ssl.create_default_context(cafile=ca_file), timeout=30)
    adapter = GraphRequestAdapter(provider, client=http)
    adapter.base_url = root
    user = GraphServiceClient(request_adapter=adapter).users.by_user_id(address)
    found = {}

    folders = await user.mail_folders.get()
    found["folders"] = [folder.display_name for folder in folders.value]
    inbox = user.mail_folders.by_mail_folder_id("inbox")
    found["total"] = (await inbox.get()).total_item_count

    page = await inbox.messages.delta.get()
    messages = list(page.value)
    while page.odata_next_link:
        page = await inbox.messages.delta.with_url(page.odata_next_link).get()
        messages += page.value
    found["subjects"] = sorted(message.subject for message in messages)
    found["senders"] = sorted({m.from_.email_address.address for m in messages})
    found["typed"] = all(m.received_date_time.year and m.is_read is False for m in messages)
    one = user.messages.by_message_id(messages[0].id)
    mime = await one.content.get()
    found["mime"] = base64.b64encode(mime).decode()
    found["mime_of"] = messages[0].subject

    read = await one.patch(Message(is_read=True))
    found["read"] = read.is_read
    done = await user.mail_folders.post(MailFolder(display_name="Done"))
    moved = await one.move.post(MovePostRequestBody(destination_id=done.id))
    found["moved"] = moved.parent_folder_id == done.id
    again = await inbox.messages.delta.with_url(page.odata_delta_link).get()
    found["removed"] = [m.additional_data.get("@removed") for m in again.value]

    await user.send_mail.post(
        SendMailPostRequestBody(
            message=Message(
                subject="From the official client",
                body=ItemBody(content_type=BodyType.Text, content="hello"),
                to_recipients=[Recipient(email_address=EmailAddress(address=address))],
            )
        )
    )
    try:
        await user.messages.by_message_id("none").get()
    except ODataError as e:
        found["error"] = [e.response_status_code, e.error.code, bool(e.error.inner_error.request_id)]
    print(json.dumps(found))


asyncio.run(main(*sys.argv[1:]))
