//! Both: netlink messages as bytes, written and read (netlink(7), rtnetlink(7)).
//!
//! Little enough to be written by hand, and read leniently: an attribute that a
//! newer kernel adds is passed over, where a full decoder would refuse the
//! whole message.

/// Size of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
/// Size of `struct ifinfomsg`, which begins every message about a link.
pub(crate) const LINK_HEADER: usize = 16;
/// Size of `struct ifaddrmsg`, which begins every message about an address.
pub(crate) const ADDRESS_HEADER: usize = 8;
/// `NLMSG_ERROR`: an acknowledgement or an error.
pub(crate) const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
pub(crate) const DONE: u16 = 3;

const NLMSGERR_ATTR_MSG: u16 = 1;
const TYPE_MASK: u16 = 0x3fff; // without NLA_F_NESTED and NLA_F_NET_BYTEORDER

/// A request that is being written.
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A message of that kind whose fixed part after the header is `fixed`.
    pub(crate) fn new(kind: u16, flags: i32, sequence: u32, fixed: &[u8]) -> Self {
        let flags = (flags | libc::NLM_F_REQUEST) as u16;
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(fixed);
        Self(bytes)
    }

    /// Adds an attribute, padded to four bytes.
    pub(crate) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (4 + value.len()) as u16;
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a string with its NUL.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// The message with its length.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// `struct ifinfomsg` for one link: family unspecified.
pub(crate) const fn link_header(index: u32, flags: u32, change: u32) -> [u8; LINK_HEADER] {
    let (i, f, c) = (index.to_ne_bytes(), flags.to_ne_bytes(), change.to_ne_bytes());
    [0, 0, 0, 0, i[0], i[1], i[2], i[3], f[0], f[1], f[2], f[3], c[0], c[1], c[2], c[3]]
}

/// One message of a datagram.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// Everything after the header.
    pub(crate) body: &'a [u8],
}

/// The messages of a datagram, up to the first that is not whole.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32_at(datagram, 0)? as usize;
        let message = datagram.get(..length).filter(|message| message.len() >= HEADER)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message {
            kind: u16_at(message, 4)?,
            flags: u16_at(message, 6)?,
            sequence: u32_at(message, 8)?,
            body: &message[HEADER..],
        })
    })
}

/// The attributes in `bytes`, up to the first that is not whole.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The kernel's own words in an `NLMSG_ERROR` whose request was left out of it
/// (`NETLINK_CAP_ACK`): they follow the error number and the request's header.
pub(crate) fn kernel_words(after_error_number: &[u8]) -> Option<String> {
    let attributes = attributes(after_error_number.get(HEADER..)?);
    let (_, words) = { attributes }.find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)?;
    text_of(words)
}

/// A string attribute without its NUL; nothing where it is empty.
pub(crate) fn text_of(value: &[u8]) -> Option<String> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    (end > 0).then(|| String::from_utf8_lossy(&value[..end]).into_owned())
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

pub(crate) fn i32_at(bytes: &[u8], offset: usize) -> Option<i32> {
    u32_at(bytes, offset).map(|number| number as i32)
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..offset + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back_as_it_was_written() {
        let bytes = Request::new(libc::RTM_GETLINK, 0, 7, &link_header(3, 0, 0))
            .text(libc::IFLA_IFNAME, "br0")
            .attribute(libc::IFLA_MTU, &1400_u32.to_ne_bytes())
            .finish();
        let message = messages(&bytes).next().unwrap();
        assert_eq!((message.kind, message.flags, message.sequence), (libc::RTM_GETLINK, 1, 7));
        assert_eq!(i32_at(message.body, 4), Some(3));
        let found: Vec<_> = attributes(&message.body[LINK_HEADER..]).collect();
        assert_eq!(
            found,
            [(libc::IFLA_IFNAME, &b"br0\0"[..]), (libc::IFLA_MTU, &1400_u32.to_ne_bytes()[..])]
        );
    }

    #[test]
    fn cut_or_lying_lengths_end_the_walk() {
        let whole = Request::new(1, 0, 1, &[]).text(3, "eth0").finish();
        for length in 0..whole.len() {
            for message in messages(&whole[..length]) {
                attributes(message.body).for_each(drop);
            }
        }
        for lie in [0_u16, 1, 3, u16::MAX] {
            let mut bytes = lie.to_ne_bytes().to_vec();
            bytes.extend_from_slice(&[0; 6]);
            assert_eq!(attributes(&bytes).count(), 0);
            let mut datagram = u32::from(lie).to_ne_bytes().to_vec();
            datagram.extend_from_slice(&[0; 20]);
            assert_eq!(messages(&datagram).count(), 0);
        }
    }
}
