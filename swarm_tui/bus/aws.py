"""Sign a WebSocket's request for AWS IoT Core, by botocore (the extra `aws`), which also finds the credentials."""

from typing import TYPE_CHECKING
from urllib.parse import quote

from swarm_tui.bus.broker_address import BrokerAddress
from swarm_tui.bus.port import BusError
from swarm_tui.config.model import Broker

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

#: The service's name in signatures.
SERVICE = "iotdevicegateway"
INSTALL = "a WebSocket to AWS is signed by botocore: run `pip install 'swarm-tui[aws]'`"
NO_CREDENTIALS = (
    "no AWS credentials are found to sign with: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "or give the machine a role"
)


def region_of(broker: Broker, at: BrokerAddress) -> str | None:
    """Return the AWS region to sign for; None where nothing is signed.

    Of itself an endpoint of AWS by `wss` without a user is signed for: nobody else gets in there.
    """
    if at.scheme not in ("ws", "wss"):
        return None
    if broker.sigv4 is not None:
        return broker.sigv4
    if not at.aws or broker.username is not None or at.username is not None:
        return None
    return at.host.partition(".iot.")[2].partition(".")[0]


def signed_path(at: BrokerAddress, region: str) -> str:
    """Return path and query of the request, signed now with the credentials of now. Raises BusError.

    The session token of passing credentials comes after the signature, which does not cover it: so this service wants
    it, unlike all others.
    """
    credentials = _credentials()
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    usual = at.port == (443 if at.scheme == "wss" else 80)
    place = at.host if usual else f"{at.host}:{at.port}"
    scheme = "https" if at.scheme == "wss" else "http"
    request = AWSRequest(method="GET", url=f"{scheme}://{place}{at.path}")
    signer = SigV4QueryAuth(Credentials(credentials.access_key, credentials.secret_key), SERVICE, region, expires=300)
    signer.add_auth(request)
    path = str(request.url).partition(place)[2]
    return f"{path}&X-Amz-Security-Token={quote(credentials.token, safe='')}" if credentials.token else path


def _credentials() -> "ReadOnlyCredentials":
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError:
        raise BusError(INSTALL) from None
    try:
        found = Session().get_credentials()
        known: ReadOnlyCredentials | None = None if found is None else found.get_frozen_credentials()
    except BotoCoreError as error:
        raise BusError(f"the AWS credentials cannot be used ({error}): see `aws sts get-caller-identity`") from None
    if known is None or not known.access_key or not known.secret_key:
        raise BusError(NO_CREDENTIALS)
    return known
