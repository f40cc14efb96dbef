//! What bytes of an application come to on an Ethernet link.

use crate::model::traffic::{Protocol, Traffic};
use crate::model::workload::Role;

/// Payload of a full TCP segment on a link of 1500 bytes, with timestamps: 1500 - 20 (IPv4) - 32 (TCP).
const SEGMENT: u128 = 1448;
/// Around the payload of a segment: IPv4 and TCP with timestamps (52), Ethernet with its checksum (18), preamble and gap
/// between frames (20).
const AROUND: u128 = 52 + 18 + 20;
/// Most payload of a TLS record: RFC 8446, 5.1.
const RECORD: u128 = 16_384;
/// Around the payload of a TLS 1.3 record: header (5), content type (1), authentication tag (16).
const SEALED: u128 = 22;
/// Header of an HTTP/2 frame: RFC 9113, 4.1.
const FRAME: u128 = 9;

/// What one request sends in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// Bytes of the application.
    pub(super) payload: u128,
    /// Bytes on the link, acknowledgements of the other direction included.
    pub(super) on_the_wire: u128,
    pub(super) packets: u128,
    /// Packets with nothing in them that the other side answers with.
    acks: u128,
}

/// What one request moves on the link of the node that serves or sends it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    role: Role,
    request: Sent,
    response: Sent,
}

impl Wire {
    /// `None` while no size is declared. One size alone stands for itself, the other one counts as nothing.
    pub(super) fn of(traffic: &Traffic) -> Option<Self> {
        if traffic.response_bytes.is_none() && traffic.request_bytes.is_none() {
            return None;
        }
        let size = |bytes: Option<u64>| u128::from(bytes.unwrap_or(0));
        let request = sent(size(traffic.request_bytes), None, traffic.protocol);
        let response = sent(size(traffic.response_bytes), traffic.chunk_bytes, traffic.protocol);
        Some(Self { role: traffic.role, request, response })
    }

    /// What leaves the node.
    pub(super) fn out(&self) -> Sent {
        match self.role {
            Role::Server => with_acks(self.response, self.request),
            Role::Client => with_acks(self.request, self.response),
            Role::Gateway => both(with_acks(self.response, self.request), with_acks(self.request, self.response)),
        }
    }

    /// What comes to the node.
    pub(super) fn arriving(&self) -> Sent {
        match self.role {
            Role::Server => with_acks(self.request, self.response),
            Role::Client => with_acks(self.response, self.request),
            // A proxy takes in each request and each response, and passes both on.
            Role::Gateway => self.out(),
        }
    }
}

/// Bytes in records and segments. What is streamed goes out in pieces, each in a record and a packet of its own.
fn sent(payload: u128, chunk: Option<u64>, protocol: Protocol) -> Sent {
    let around = SEALED + if protocol == Protocol::H2 { FRAME } else { 0 };
    let piece = chunk.map_or(RECORD, |chunk| u128::from(chunk).clamp(1, RECORD));
    let pieces = payload.div_ceil(piece);
    let sealed = payload + pieces * around;
    // Of segments that come together every second one is acknowledged; measured on 6.18, one that comes alone is too.
    let (packets, acks) = match chunk {
        Some(_) => {
            let each = (piece.min(payload) + around).div_ceil(SEGMENT);
            (pieces * each, pieces * each.div_ceil(2))
        }
        None => (sealed.div_ceil(SEGMENT), sealed.div_ceil(SEGMENT).div_ceil(2)),
    };
    Sent { payload, on_the_wire: sealed + packets * AROUND, packets, acks }
}

/// With the acknowledgements of what the other direction sends.
fn with_acks(own: Sent, Sent { acks, .. }: Sent) -> Sent {
    Sent { on_the_wire: own.on_the_wire + acks * AROUND, packets: own.packets + acks, ..own }
}

fn both(one: Sent, other: Sent) -> Sent {
    Sent {
        payload: one.payload + other.payload,
        on_the_wire: one.on_the_wire + other.on_the_wire,
        packets: one.packets + other.packets,
        acks: one.acks + other.acks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_thousand_bytes_in_one_piece_cost_a_fifteenth_more() {
        // 2 records: 20,000 + 2 x 22 = 20,044 bytes; 14 segments: 20,044 + 14 x 90 = 21,304.
        let whole = sent(20_000, None, Protocol::H1);
        assert_eq!(whole, Sent { payload: 20_000, on_the_wire: 21_304, packets: 14, acks: 7 });
    }

    #[test]
    fn tokens_cost_more_than_they_are() {
        // 1,000 events of 20 bytes: each 20 + 22 + 9 + 90 = 141 bytes.
        let tokens = sent(20_000, Some(20), Protocol::H2);
        assert_eq!(tokens, Sent { payload: 20_000, on_the_wire: 141_000, packets: 1000, acks: 1000 });
    }

    #[test]
    fn nothing_sends_nothing() {
        assert_eq!(sent(0, Some(20), Protocol::H1), Sent::default());
    }
}
