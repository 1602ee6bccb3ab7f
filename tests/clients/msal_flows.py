"""Signs in with MSAL and with azure-identity in every way they have, and asks who that makes us. Prints what it got."""

import json
import os
import re
import threading
import webbrowser
from html import unescape
from urllib.parse import parse_qs, urljoin, urlparse

import msal
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import (
    ClientSecretCredential,
    DeviceCodeCredential,
    InteractiveBrowserCredential,
    UsernamePasswordCredential,
)
from requests.adapters import HTTPAdapter

URL = os.environ["SERVER_URL"].rstrip("/")
TENANT = os.environ["TENANT"]
USER = os.environ["USER_NAME"]
PASSWORD = os.environ["PASSWORD"]
APPLICATION = os.environ["APPLICATION_ID"]
SECRET = os.environ["APPLICATION_SECRET"]
# The client of Dataverse's own samples, which has no secret.
PUBLIC = "51f81489-12ee-4a9e-aaae-a2591f45987d"
AUTHORITY = f"{URL}/{TENANT}"
DEFAULT = [f"{URL}/.default"]
DELEGATED = [f"{URL}/user_impersonation"]


class WithPort(HTTPAdapter):
    """MSAL leaves the port out of the one URL that it builds itself."""

    def send(self, request, **options):
        request.url = request.url.replace("https://localhost/", f"{URL}/", 1)
        return super().send(request, **options)


def session():
    made = requests.Session()
    made.mount("https://localhost/common/userrealm/", WithPort())
    return made


def who_am_i(token):
    answer = requests.get(f"{URL}/api/data/v9.2/WhoAmI", headers={"Authorization": f"Bearer {token}"})
    return answer.json().get("UserId", [answer.status_code, answer.text])


def of_msal(result):
    return who_am_i(result["access_token"]) if "access_token" in result else result


def form_of(answer):
    """The one form of a page: where it goes, and its hidden fields."""
    page = answer.text
    action = re.search(r'<form method="post" action="([^"]*)"', page)[1]
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)
    return urljoin(answer.url, unescape(action)), {name: unescape(value) for name, value in fields}


def choose(answer):
    """What a person does on the page with the users."""
    url, fields = form_of(answer)
    return requests.post(url, data={**fields, "user": USER}, allow_redirects=False)


def enter(verification_uri, user_code):
    """What a person does with a device's code."""
    url, _ = form_of(requests.get(verification_uri))
    done = choose(requests.post(url, data={"code": user_code}))
    assert done.status_code == 200 and "Done" in done.text, done.text


class Browser(webbrowser.BaseBrowser):
    """A person with a browser that runs the script of the page with the answer, if there is one."""

    def open(self, url, new=0, autoraise=True):
        threading.Thread(target=self.sign_in, args=[url]).start()
        return True

    def sign_in(self, url):
        answer = choose(requests.get(url))
        if answer.is_redirect:
            requests.get(answer.headers["Location"])
        else:
            back, fields = form_of(answer)
            requests.post(back, data=fields)


webbrowser.register("test", None, Browser(), preferred=True)


def public(**options):
    return msal.PublicClientApplication(
        PUBLIC, authority=AUTHORITY, instance_discovery=False, http_client=session(), **options
    )


def confidential(secret):
    return msal.ConfidentialClientApplication(
        APPLICATION, client_credential=secret, authority=AUTHORITY, instance_discovery=False
    )


def by_code():
    app = public()
    flow = app.initiate_auth_code_flow(DELEGATED, redirect_uri="http://localhost:8400", login_hint=USER)
    answer = requests.get(flow["auth_uri"], allow_redirects=False)
    query = {name: value[0] for name, value in parse_qs(urlparse(answer.headers["Location"]).query).items()}
    first = app.acquire_token_by_auth_code_flow(flow, query)
    replayed = public().acquire_token_by_auth_code_flow(flow, query)
    account = app.get_accounts()[0]
    cached = app.acquire_token_silent(DELEGATED, account)
    refreshed = app.acquire_token_silent(DELEGATED, account, force_refresh=True)
    return {
        "first": of_msal(first),
        "name": first["id_token_claims"]["preferred_username"],
        "account": account["username"],
        "cached": cached["access_token"] == first["access_token"],
        "refreshed": of_msal(refreshed),
        "replayed": replayed.get("error_description"),
    }


def by_device():
    app = public()
    flow = app.initiate_device_flow(DELEGATED)
    early = app.client.obtain_token_by_device_flow(flow, exit_condition=lambda flow: True)
    enter(flow["verification_uri"], flow["user_code"])
    return {"early": early.get("error"), "then": of_msal(app.acquire_token_by_device_flow(flow))}


def options():
    return {"authority": URL, "tenant_id": TENANT, "disable_instance_discovery": True}


def of_azure(credential):
    try:
        return who_am_i(credential.get_token(*DEFAULT).token)
    except ClientAuthenticationError as error:
        return str(error)


def by_password(password):
    transport = RequestsTransport(session=session(), session_owner=False)
    return UsernamePasswordCredential(PUBLIC, USER, password, transport=transport, **options())


print(json.dumps({
    "msal": {
        "secret": of_msal(confidential(SECRET).acquire_token_for_client(DEFAULT)),
        "wrong secret": confidential("guess").acquire_token_for_client(DEFAULT).get("error_description"),
        "code": by_code(),
        "device": by_device(),
        "interactive": of_msal(public().acquire_token_interactive(DELEGATED, timeout=30)),
        "password": of_msal(public().acquire_token_by_username_password(USER, PASSWORD, DELEGATED)),
        "wrong password": public().acquire_token_by_username_password(USER, "guess", DELEGATED).get("error_description"),
    },
    "azure": {
        "secret": of_azure(ClientSecretCredential(client_id=APPLICATION, client_secret=SECRET, **options())),
        "wrong secret": of_azure(ClientSecretCredential(client_id=APPLICATION, client_secret="guess", **options())),
        "device": of_azure(DeviceCodeCredential(prompt_callback=lambda uri, code, _: enter(uri, code), **options())),
        "interactive": of_azure(InteractiveBrowserCredential(timeout=30, **options())),
        "password": of_azure(by_password(PASSWORD)),
        "wrong password": of_azure(by_password("guess")),
    },
}))
