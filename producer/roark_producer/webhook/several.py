"""More than one message in one request: a JSON array, one a line, or one behind the other, as log shippers post them.

What is none of that, or holds nothing that begins like a message, is one document and judged as such.
"""

import io
from itertools import islice

from roark_ledger.errors import InvalidReport
from roark_producer.files.compression import DamagedInput
from roark_producer.files.reading import read_documents

MOST_MESSAGES = 10_000


def messages_in(body: bytes) -> list[bytes]:
    """Return the messages of a body that holds several, none where it is one document.

    Raises InvalidReport when they are more than anybody sends at once.
    """
    try:
        documents = read_documents(io.BytesIO(body), most_bytes=len(body))
        found = [document.body for document in islice(documents, MOST_MESSAGES + 1)]
    except DamagedInput:
        return []
    is_one = len(found) == 1 and body.strip().startswith(found[0][:1])
    if is_one or not any(each.startswith((b"{", b'"')) for each in found):
        return []
    if len(found) > MOST_MESSAGES:
        raise InvalidReport("body", f"contains more than {MOST_MESSAGES} documents")
    return found
