//! Messages as they travel in bytes: length, checksum, payload.
//!
//! ```text
//! | payload's length, u32 | CRC-32 of the payload, u32 | payload |      integers are big-endian
//! ```
//!
//! Promise: no frame in which fewer than four bits are wrong decodes, for payloads up to 11 KiB (Koopman 2002: CRC-32
//! has Hamming distance 4 up to 91,607 bits), and of longer or worse damaged ones but one in four billion. A flipped bit
//! in the checksum is a mismatch, and one in the length makes the frame too short or too long. Whoever receives a
//! damaged frame drops it, as if it had been lost: protobuf alone would decode many of them to something else.

use std::ops::Range;

/// Bytes before the payload.
pub const HEADER: usize = 8;
const LENGTH: Range<usize> = 0..4;
const CHECKSUM: Range<usize> = 4..HEADER;

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// There are other bytes than the header says.
    #[error("the frame should have {expected} bytes and has {actual}")]
    Length {
        /// What the header says, its own bytes included; or the bytes of a header, where there is not even that.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// The payload is not what was sent.
    #[error("checksum mismatch")]
    Checksum,
}

/// The frame of a payload.
///
/// # Panics
/// When the payload has 4 GiB or more: what a store sends is bounded by its configuration.
#[must_use]
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("no message has 4 GiB");
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The payload of a frame.
///
/// # Errors
/// When it is damaged.
pub fn decode(frame: &[u8]) -> Result<&[u8], FrameError> {
    let actual = frame.len() as u64;
    let Some((header, payload)) = frame.split_at_checked(HEADER) else {
        return Err(FrameError::Length { expected: HEADER as u64, actual });
    };
    let number =
        |range: Range<usize>| header[range].iter().fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
    let expected = HEADER as u64 + u64::from(number(LENGTH));
    if expected != actual {
        return Err(FrameError::Length { expected, actual });
    }
    if crc32fast::hash(payload) != number(CHECKSUM) {
        return Err(FrameError::Checksum);
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_as_in_the_picture() {
        assert_eq!(encode(b""), [0; 8]);
        assert_eq!(encode(b"123456789"), *b"\0\0\0\x09\xcb\xf4\x39\x26123456789", "the usual check value");
    }

    #[test]
    fn what_is_too_short_for_a_header_is_no_frame() {
        assert_eq!(decode(b"\0\0\0\0\0\0\0"), Err(FrameError::Length { expected: 8, actual: 7 }));
        assert_eq!(decode(b"\0\0\0\x01\0\0\0\0"), Err(FrameError::Length { expected: 9, actual: 8 }));
        assert_eq!(
            decode(b"\xff\xff\xff\xff\0\0\0\0").map_err(|error| error.to_string()),
            Err("the frame should have 4294967303 bytes and has 8".to_owned())
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let frame = encode(&payload);
            prop_assert_eq!(decode(&frame), Ok(&payload[..]));
        }

        #[test]
        fn up_to_three_flipped_bits_never_decode(
            payload in prop::collection::vec(any::<u8>(), 0..300),
            flips in prop::collection::vec(any::<prop::sample::Index>(), 1..=3),
        ) {
            let whole = encode(&payload);
            let mut frame = whole.clone();
            for flip in flips {
                let bit = flip.index(frame.len() * 8);
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            // Two flips of one bit undo each other.
            prop_assert!(frame == whole || decode(&frame).is_err());
        }

        #[test]
        fn a_part_of_a_frame_is_none(payload in prop::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>()) {
            let frame = encode(&payload);
            prop_assert!(decode(&frame[..cut.index(frame.len())]).is_err());
        }
    }
}
