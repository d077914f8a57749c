"""Messages that both sides know, in every type and with every section, section by section.

A section is what `Data` reads and writes: a described value. `samples.rs` has the same messages.
"""

from uuid import UUID

from proton import (
    Array,
    Data,
    Described,
    UNDESCRIBED,
    byte,
    char,
    decimal32,
    decimal64,
    decimal128,
    float32,
    int32,
    short,
    symbol,
    timestamp,
    ubyte,
    uint,
    ulong,
    ushort,
)

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES = range(0x70, 0x75)
DATA, SEQUENCE, VALUE, FOOTER = range(0x75, 0x79)

ID = UUID("00112233-4455-6677-8899-aabbccddeeff")


def section(code, value):
    return Described(ulong(code), value)


# In Python an int is a long of AMQP, a float a double, bytes binary.
SIMPLE = [
    None,
    True,
    False,
    ubyte(0),
    ubyte(255),
    ushort(0),
    ushort(65535),
    uint(0),
    uint(255),
    uint(256),
    uint(2**32 - 1),
    ulong(0),
    ulong(255),
    ulong(256),
    ulong(2**64 - 1),
    byte(-128),
    byte(127),
    short(-32768),
    short(32767),
    int32(0),
    int32(-128),
    int32(127),
    int32(128),
    int32(-(2**31)),
    int32(2**31 - 1),
    0,
    -128,
    127,
    -129,
    -(2**63),
    2**63 - 1,
    float32(1.5),
    float32(float("-inf")),
    -0.0,
    1.0e300,
    decimal32(0x22500001),
    decimal64(0x2238000000000001),
    decimal128(bytes(range(16))),
    char("é"),
    char("\U0001f407"),
    timestamp(0),
    timestamp(-1),
    timestamp(1767225600123),
    ID,
    b"",
    bytes(range(256)),
    "",
    "Grüße, \U0001f407",
    "x" * 255,
    "x" * 256,
    symbol(""),
    symbol("x-opt-symbol"),
    symbol("y" * 256),
]

COMPOUND = [
    [],
    [uint(1), [True, [None]]],
    {},
    {"text": 1, symbol("symbol"): 2, ulong(3): [3], ID: {"deep": b"\x00"}},
    ["x"] * 256,
    Array(UNDESCRIBED, Data.ULONG, ulong(1), ulong(2**40)),
    Array(UNDESCRIBED, Data.STRING, "a", "", "é" * 200),
    Array(UNDESCRIBED, Data.SYMBOL, symbol("a"), symbol("bc")),
    Array(UNDESCRIBED, Data.BOOL, True, False),
    Array(UNDESCRIBED, Data.UUID, ID),
    Array(symbol("x:point"), Data.INT, int32(-1), int32(1)),
    Described(symbol("x:unknown"), [uint(7)]),
    Described(ulong(0x0000468C00000004), "selector"),
]

SAMPLES = {
    "primitives": [section(VALUE, SIMPLE)],
    "compounds": [section(VALUE, COMPOUND)],
    "sections": [
        section(HEADER, [True, ubyte(9), uint(60000), True, uint(3)]),
        section(DELIVERY_ANNOTATIONS, {symbol("x-opt-delivery"): uint(1)}),
        section(MESSAGE_ANNOTATIONS, {symbol("x-opt-message"): "annotated", ulong(7): True}),
        section(
            PROPERTIES,
            [
                ulong(42),
                b"guest",
                "to",
                "subject",
                "reply-to",
                ID,
                symbol("application/octet-stream"),
                symbol("identity"),
                timestamp(1767225600123),
                timestamp(1767225600000),
                "group",
                uint(2**32 - 4),
                "reply-to-group",
            ],
        ),
        section(
            APPLICATION_PROPERTIES,
            {"property %d" % at: value for at, value in enumerate(SIMPLE)},
        ),
        section(DATA, b"first"),
        section(DATA, b""),
        section(DATA, b"third"),
        section(FOOTER, {symbol("x-opt-footer"): b"sum"}),
    ],
    "sequences": [section(SEQUENCE, [1, "two"]), section(SEQUENCE, []), section(SEQUENCE, [{"three": 3.0}])],
    "text-ids": [section(PROPERTIES, ["text", None, None, None, None, b"octets"]), section(VALUE, "ids")],
    "null": [section(VALUE, None)],
}


def encode(sections):
    encoded = b""
    for one in sections:
        data = Data()
        data.put_object(one)
        encoded += data.encode()
    return encoded


def decode(encoded):
    sections = []
    while encoded:
        data = Data()
        used = data.decode(encoded)
        data.rewind()
        data.next()
        sections.append(owned(data.get_object()))
        encoded = encoded[used:]
    return sections


def owned(value):
    """The value without views into the memory of the `Data` that it comes from."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, Described):
        return Described(owned(value.descriptor), owned(value.value))
    if isinstance(value, Array):
        return Array(owned(value.descriptor), value.type, *map(owned, value.elements))
    if isinstance(value, dict):
        return {owned(key): owned(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [owned(entry) for entry in value]
    return value


def difference(expected, actual, where="message"):
    """Where two values differ, in type or content; None where they do not."""
    if type(expected) is not type(actual):
        return "%s is %.200r, not %.200r" % (where, actual, expected)
    if isinstance(expected, Described):
        return difference(expected.descriptor, actual.descriptor, where + " descriptor") or difference(
            expected.value, actual.value, "%s %s" % (where, expected.descriptor)
        )
    if isinstance(expected, Array):
        if expected.type != actual.type:
            return "%s is an array of type %d, not %d" % (where, actual.type, expected.type)
        return difference(expected.descriptor, actual.descriptor, where + " descriptor") or difference(
            list(expected.elements), list(actual.elements), where
        )
    if isinstance(expected, dict):
        return difference(list(expected.items()), list(actual.items()), where)
    if isinstance(expected, (list, tuple)):
        if len(expected) != len(actual):
            return "%s has %d elements, not %d" % (where, len(actual), len(expected))
        found = (difference(a, b, "%s[%d]" % (where, at)) for at, (a, b) in enumerate(zip(expected, actual)))
        return next(filter(None, found), None)
    # By text: -0.0 is not 0.0.
    return None if repr(expected) == repr(actual) else "%s is %.200r, not %.200r" % (where, actual, expected)
