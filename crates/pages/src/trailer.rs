//! The last bytes of a page: a mark, and a checksum of what is in front and of where the page lies.

/// Bytes of a page. A file with pages of another size has no checksums.
pub(crate) const PAGE: usize = 4096;
/// The smallest page that SQLite knows.
pub(crate) const LEAST_PAGE: std::ffi::c_int = 512;
/// Bytes at the end of each page that SQLite leaves alone.
pub(crate) const RESERVED: usize = 8;
/// Where the checksum begins.
const SUM_AT: usize = PAGE - 4;
/// Where the mark begins.
const MARK_AT: usize = PAGE - RESERVED;
/// "Pegs". It shows that a page has a checksum even where the header, which says so too, is damaged.
const MARK: [u8; 4] = *b"Pegs";
/// Where the header of a file says how many bytes of each page are reserved.
const RESERVED_AT: usize = 20;
/// The header of a file that begins a database.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the header says how large a page is, and how it says [`PAGE`].
const PAGE_SIZE_AT: usize = 16;
const PAGE_SIZE: [u8; 2] = [0x10, 0x00];

pub(crate) type Page = [u8; PAGE];

/// Whether a file whose first page this is has checksums. Two places say so, and each is believed: damage of one must not
/// turn off what would find it.
pub(crate) fn is_claimed_by(first: &Page) -> bool {
    let says_header = begins_database(first)
        && first[PAGE_SIZE_AT..PAGE_SIZE_AT + 2] == PAGE_SIZE
        && usize::from(first[RESERVED_AT]) == RESERVED;
    says_header || first[MARK_AT..SUM_AT] == MARK
}

/// Whether this is the first page of a database, as its header says.
pub(crate) fn begins_database(first: &Page) -> bool {
    first.starts_with(MAGIC)
}

/// Whether this page is as it was stamped, and lies where it did.
pub(crate) fn fits(page: &Page, number: u64) -> bool {
    page[MARK_AT..SUM_AT] == MARK && page[SUM_AT..] == sum(page, number)
}

/// Whether a page has contents, and zeros in the room for the checksum: as a program writes it that keeps the room free.
pub(crate) fn is_foreign(page: &Page) -> bool {
    page[MARK_AT..] == [0; RESERVED] && page[..MARK_AT].iter().any(|byte| *byte != 0)
}

/// Puts mark and checksum at the end of a page.
pub(crate) fn stamp(page: &mut Page, number: u64) {
    page[MARK_AT..SUM_AT].copy_from_slice(&MARK);
    let sum = sum(page, number);
    page[SUM_AT..].copy_from_slice(&sum);
}

fn sum(page: &Page, number: u64) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(&page[..SUM_AT]);
    hasher.finalize().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut page: Page = std::array::from_fn(|at| (at % 251) as u8);
        stamp(&mut page, 7);
        assert!(fits(&page, 7));
        assert!(!fits(&page, 8), "it lies in another place");
        for bit in 0..PAGE * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(!fits(&page, 7), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
