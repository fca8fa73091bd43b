//! What a replay shows of the arguments of calls.
//!
//! The journal holds their hash alone; here they are told apart by the form in which they are hashed.

/// An argument as a replay shows it: a text, a path, a number as the journal hashes one, or how long
/// it is.
pub(super) fn argument(part: &[u8]) -> String {
    let number = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).map(u64::from_le_bytes);
    match (std::str::from_utf8(part), part) {
        (Ok(text), _) if !text.contains('\0') => format!("{text:?}"),
        _ if names(part).is_some() => format!("{:?}", names(part).unwrap_or_default()),
        (_, [0, 0, 0, 0, 0, 0, 0, 0, 0]) => "none".to_owned(),
        (_, [1, rest @ ..]) if rest.len() == 8 => number(rest).unwrap_or_default().to_string(),
        (_, [a, b, c, d]) => u32::from_le_bytes([*a, *b, *c, *d]).to_string(),
        (_, part) => number(part).map_or_else(|_| format!("{} bytes", part.len()), |n| n.to_string()),
    }
}

/// The path of a file, if this is one as it is hashed: each name with its length before it.
fn names(mut part: &[u8]) -> Option<String> {
    let mut names = Vec::new();
    while let Some((length, rest)) = part.split_first_chunk::<8>() {
        let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|length| *length > 0)?;
        let (name, rest) = rest.split_at_checked(length)?;
        names.push(std::str::from_utf8(name).ok()?);
        part = rest;
    }
    (part.is_empty() && !names.is_empty()).then(|| names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_shown_as_what_it_is() {
        let flagged = |ms: u64| [&[1], &ms.to_le_bytes()[..]].concat();
        let path = |names: &[&str]| -> Vec<u8> {
            let flat = names
                .iter()
                .flat_map(|name| [&(name.len() as u64).to_le_bytes()[..], name.as_bytes()].concat());
            flat.collect()
        };
        for (part, shown) in [
            (b"a\x1b\n".to_vec(), r#""a\u{1b}\n""#),
            (path(&["b"]), r#""b""#),
            (path(&["in", "raw", "b.txt"]), r#""in/raw/b.txt""#),
            (vec![0; 9], "none"),
            (flagged(5), "5"),
            (1_000_u64.to_le_bytes().to_vec(), "1000"),
            (65_536_u32.to_le_bytes().to_vec(), "65536"),
            (vec![0xff; 30], "30 bytes"),
        ] {
            assert_eq!(argument(&part), shown);
        }
    }
}
