//! Forty records that are hard to tell apart where their answer is cut. Pure, and shared with
//! the unit tests of intake.

/// One reply before it is a record.
#[derive(Clone, Debug)]
pub(crate) struct Forty {
    /// As the gateway writes it.
    pub(crate) mobile: String,
    /// As it is kept.
    pub(crate) mobile_kept: String,
    /// In GBK.
    pub(crate) content: Vec<u8>,
    /// Seconds after the first record's time.
    pub(crate) second: i64,
    pub(crate) gateway: &'static str,
}

/// The account's number, one of a sub-extension, and shorter ones that both begin with: a number
/// that was cut may look like another.
const GATEWAYS: [&str; 4] = ["1068112227282", "106811222728200", "106811", ""];

/// What customers typed: characters whose second byte is `|`, `{` or `}` in GBK, the separators
/// themselves, half a character, what looks like the head of a record, digits, nothing.
const CONTENTS: [&[u8]; 16] = [
    b"\xd6\xd0\xb9\xfa\xb6\xcc\xd0\xc5\xcd\xf8",
    b"\x83\x7c",
    b"\xba\xcd\xab\x7c",
    b"\x81\x7b&}\x81\x7d",
    b"{\x81\x7d\x81\x7b&\x81\x7d",
    b"",
    b"a||b",
    b"{&}",
    b"||",
    b"100{&}",
    b"\xba\xc3{&}13900000009||",
    b"\xc4",
    b" \r\n ",
    b"2026-11-22 10:20:00",
    b"1068112227282",
    b"+",
];

/// The records, in the order of their answer. Some are equal but for their gateway number, some
/// altogether.
pub(crate) fn records() -> Vec<Forty> {
    let mut records = Vec::new();
    for (index, content) in CONTENTS.iter().cycle().take(34).enumerate() {
        let (mobile, prefix) = (format!("1390000{:04}", index % 5), ["", "+86", "86"][index % 3]);
        records.push(Forty {
            mobile: format!("{prefix}{mobile}"),
            mobile_kept: mobile,
            content: content.to_vec(),
            second: index as i64 / 4,
            gateway: GATEWAYS[index % 4],
        });
    }
    // The same words within a second: by the same number, and by numbers that begin alike.
    for gateway in [0, 0, 1, 2, 0, 1] {
        let twice = Forty { gateway: GATEWAYS[gateway], ..records[0].clone() };
        records.push(twice);
    }
    records
}
