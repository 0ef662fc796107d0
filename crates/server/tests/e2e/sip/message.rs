//! A SIP message as a test reads it.

use std::net::SocketAddr;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    pub text: String,
}

impl Message {
    /// The method of a request; the status of a response, as text.
    pub fn kind(&self) -> &str {
        let mut words = self.text.split(' ');
        let first = words.next().unwrap_or_default();
        if first.starts_with("SIP/") { words.next().unwrap_or_default() } else { first }
    }

    /// The URI that a request asks for.
    pub fn uri(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or_default()
    }

    fn head(&self) -> &str {
        self.text.split("\r\n\r\n").next().unwrap_or_default()
    }

    /// The values of all headers of a name.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let short = match name {
            "Via" => "v",
            "Call-ID" => "i",
            "From" => "f",
            "To" => "t",
            "Contact" => "m",
            _ => name,
        };
        let named = |line: &&str| {
            line.split(':').next().is_some_and(|found| {
                found.trim().eq_ignore_ascii_case(name) || found.trim().eq_ignore_ascii_case(short)
            })
        };
        let lines = self.head().split("\r\n").skip(1).filter(named);
        lines.filter_map(|line| Some(line.split_once(':')?.1.trim())).collect()
    }

    /// The value of a header that must be there.
    pub fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The URI in its Contact.
    pub fn contact(&self) -> &str {
        let contact = self.header("Contact");
        contact.split_once('<').map_or(contact, |(_, rest)| rest.split('>').next().unwrap_or_default())
    }

    /// Where its SDP wants media.
    pub fn media(&self) -> SocketAddr {
        let line = |begin: &str| {
            let found = self.body().lines().find_map(|line| line.strip_prefix(begin));
            found.unwrap_or_else(|| panic!("no {begin} in {}", self.text)).trim()
        };
        let port = line("m=audio ").split(' ').next().unwrap_or_default();
        let (_, ip) = line("c=IN IP").split_once(' ').expect("a family and an address");
        SocketAddr::new(ip.parse().expect("an address of media"), port.parse().expect("a port"))
    }
}
