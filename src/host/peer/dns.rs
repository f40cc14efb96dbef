//! Questions to a name server and its answers, as messages (RFC 1035). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::bounds;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, RCODE, TYPE};
use thiserror::Error;

/// A kind of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4.
    A,
    /// IPv6.
    Aaaa,
}

impl Kind {
    fn of(self) -> QTYPE {
        QTYPE::TYPE(match self {
            Self::A => TYPE::A,
            Self::Aaaa => TYPE::AAAA,
        })
    }
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The addresses of the name; none if it has none of this kind.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// The answer is longer than a datagram: ask over TCP.
    Truncated,
    /// The server does not answer such a question, in its own word.
    Refused(String),
}

/// Why a message is no answer to a question.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NoAnswer {
    /// It is no DNS message.
    #[error("it is no DNS message")]
    Broken,
    /// It answers something else.
    #[error("it answers another question")]
    Another,
}

/// The message that asks for the addresses of a name; none for what cannot be a name in DNS.
pub fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).ok()?;
    packet.questions.push(simple_dns::Question::new(name, kind.of(), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().ok()
}

/// What a message says in answer to a question. Aliases are followed by the server: every address in its answer counts.
///
/// # Errors
/// [`NoAnswer`]: the message is broken, or meant for another question.
pub fn answer(message: &[u8], id: u16, name: &str, kind: Kind) -> Result<Said, NoAnswer> {
    let packet = Packet::parse(message).map_err(|_| NoAnswer::Broken)?;
    let asked = packet
        .questions
        .first()
        .is_some_and(|question| question.qtype == kind.of() && question.qname.to_string().eq_ignore_ascii_case(name));
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) || !asked {
        return Err(NoAnswer::Another);
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Ok(Said::Truncated);
    }
    Ok(match packet.rcode() {
        RCODE::NoError => Said::Addresses(addresses(&packet, kind)),
        RCODE::NameError => Said::NoSuchName,
        other => Said::Refused(format!("{other:?}")),
    })
}

fn addresses(packet: &Packet<'_>, kind: Kind) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for record in packet.answers.iter().filter(|record| record.class == CLASS::IN) {
        let address = match (&record.rdata, kind) {
            (RData::A(a), Kind::A) => Ipv4Addr::from(a.address).into(),
            (RData::AAAA(aaaa), Kind::Aaaa) => Ipv6Addr::from(aaaa.address).into(),
            _ => continue,
        };
        if !found.contains(&address) && found.len() < bounds::ANSWER_ADDRESSES.count() {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with a CNAME and two addresses, as servers write it: names as pointers to the question.
    fn reply(id: u16, flags: u16, answers: u16) -> Vec<u8> {
        let mut bytes = [id.to_be_bytes(), flags.to_be_bytes(), [0, 1], answers.to_be_bytes(), [0; 2], [0; 2]].concat();
        bytes.extend(b"\x03api\x07example\0\0\x01\0\x01");
        if answers > 0 {
            bytes.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03lb1\xc0\x10");
            for last in [1, 2] {
                bytes.extend(b"\xc0\x29\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0");
                bytes.push(last);
            }
        }
        bytes
    }

    #[test]
    fn addresses_behind_an_alias_are_addresses_of_the_name() {
        let said = answer(&reply(7, 0x8180, 3), 7, "API.example", Kind::A).unwrap();
        assert_eq!(said, Said::Addresses(vec!["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()]));
        assert_eq!(answer(&reply(7, 0x8180, 0), 7, "api.example", Kind::A), Ok(Said::Addresses(Vec::new())));
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_passed_over() {
        assert_eq!(answer(&reply(8, 0x8180, 3), 7, "api.example", Kind::A), Err(NoAnswer::Another), "another id");
        assert_eq!(answer(&reply(7, 0x0100, 0), 7, "api.example", Kind::A), Err(NoAnswer::Another), "a question");
        assert_eq!(answer(&reply(7, 0x8180, 3), 7, "other.example", Kind::A), Err(NoAnswer::Another));
        assert_eq!(answer(&reply(7, 0x8180, 3), 7, "api.example", Kind::Aaaa), Err(NoAnswer::Another));
        assert_eq!(answer(b"\0\0", 7, "api.example", Kind::A), Err(NoAnswer::Broken));
    }

    #[test]
    fn refusals_and_long_answers_are_told_apart() {
        assert_eq!(answer(&reply(7, 0x8183, 0), 7, "api.example", Kind::A), Ok(Said::NoSuchName));
        assert_eq!(answer(&reply(7, 0x8380, 0), 7, "api.example", Kind::A), Ok(Said::Truncated));
        assert!(matches!(answer(&reply(7, 0x8185, 0), 7, "api.example", Kind::A), Ok(Said::Refused(_))));
    }

    #[test]
    fn a_question_is_one_that_servers_take() {
        let bytes = question(7, "api.example", Kind::A).unwrap();
        assert_eq!(bytes, [b"\0\x07\x01\0\0\x01\0\0\0\0\0\0".as_slice(), b"\x03api\x07example\0\0\x01\0\x01"].concat());
        assert_eq!(question(7, &"a".repeat(64), Kind::A), None);
    }
}
