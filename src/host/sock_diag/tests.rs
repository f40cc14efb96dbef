use super::*;

#[test]
fn a_dump_that_lost_its_place_says_so_in_any_message() {
    let message =
        |kind: u16, flags: u16| [&16u32.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8]].concat();
    let whole = |flags: u16| {
        let part = [message(20, 2), message(20, flags), message(20, 2), message(NLMSG_DONE, 2)].concat();
        gathered(
            |_, _| 0,
            |step| {
                step[..part.len()].copy_from_slice(&part);
                Ok(part.len())
            },
        )
    };
    assert_eq!((whole(2), whole(0x12)), (Ok(true), Ok(false)));
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, kind, body);
    bytes
}

#[test]
fn a_dump_ends_with_the_message_that_ends_it_and_not_with_a_read_of_nothing() {
    let dump = |parts: &[&[u8]]| {
        let mut parts = parts.iter();
        let mut answer = Vec::new();
        let pass = |kind, body: &[u8]| {
            append(&mut answer, kind, body);
            answer.len()
        };
        gathered(pass, |step| {
            let part = parts.next().ok_or(Errno::EAGAIN)?;
            step[..part.len()].copy_from_slice(part);
            Ok(part.len())
        })
        .map(|whole| whole.then_some(answer))
    };
    let socket = message(SOCK_DIAG_BY_FAMILY, &[7; MESSAGE]);
    let done = message(NLMSG_DONE, &[0; 4]);
    assert_eq!(dump(&[&socket, &done]), Ok(Some(socket.clone())));
    assert_eq!(dump(&[&socket, &[]]), Err(Errno::ENODATA));
    assert_eq!(dump(&[&[]]), Err(Errno::ENODATA));
    assert_eq!(dump(&[&message(NLMSG_ERROR, &(-1i32).to_ne_bytes())]), Err(Errno::EPERM));
}

#[test]
fn attributes_are_found_by_their_type_as_far_as_they_are_whole() {
    let one = [&5u16.to_ne_bytes()[..], &8u16.to_ne_bytes(), &[1, 0, 0, 0]].concat();
    let two = [&8u16.to_ne_bytes()[..], &7u16.to_ne_bytes(), &[9; 4]].concat();
    let both = [one, two].concat();
    assert_eq!((attribute(&both, 8), attribute(&both, 7)), (Some(&[1][..]), Some(&[9; 4][..])));
    assert_eq!((attribute(&both, 1), attribute(&both[..14], 7)), (None, None));
    assert_eq!(attribute(&[0; 8], 7), None, "a length of nothing goes nowhere");
}

#[test]
fn ports_are_picked_by_two_comparisons_that_refuse_by_going_beyond_the_end() {
    let filter = between((0x1234, 0x5678));
    let parts: Vec<u16> = filter.chunks(2).map(|part| u16::from_ne_bytes([part[0], part[1]])).collect();
    let [ge, le] = [2, 3].map(|code| u16::from_ne_bytes([code, 8]));
    assert_eq!(parts, [20, 1, ge, 20, 0, 0x1234, le, 12, 0, 0x5678]);
    assert_eq!(&request(&Choice { family: 2, states: 1, ports: None, extensions: 0 })[..4], 72u32.to_ne_bytes());
    assert_eq!(
        &request(&Choice { family: 2, states: 1, ports: Some((1, 2)), extensions: 0 })[..4],
        92u32.to_ne_bytes()
    );
}

#[test]
fn what_is_no_family_or_no_range_of_ports_is_not_asked() {
    assert_eq!(connections("unix/1-2"), Err(Errno::EAFNOSUPPORT));
    for of in ["inet", "inet/", "inet/1", "inet/1-65536", "inet/a-b"] {
        assert_eq!(connections(of), Err(Errno::EINVAL), "{of}");
    }
}

#[test]
fn a_cut_message_is_a_message() {
    let mut bytes = Vec::new();
    append(&mut bytes, 20, &[7; 40]);
    append(&mut bytes, 20, &[8; 40]);
    assert_eq!(messages(&bytes).collect::<Vec<_>>(), [(20, &[7; 40][..]), (20, &[8; 40][..])]);
}
