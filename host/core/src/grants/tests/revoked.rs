//! What is taken away while runs live, and who is said to have refused.

use super::*;

fn rule(text: &str) -> Capability<'static> {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_covered_as_before_is_the_same_grants() {
    let held = grants();
    assert_eq!(held.within(&video()), None);
    let left = held.within(&Authority::default()).expect("something is gone");
    assert_eq!(Holding::from(&left).each().count(), 0);
    assert_eq!(left.caps(), held.caps());
}

#[test]
fn who_refuses_is_found_along_the_chain() {
    let root = grants();
    let scope = Scope {
        kv: vec![kv("notes", "a/", KvMode::Read)],
        spawn: spawn(&["video/render"], 1, 1),
        ..Scope::default()
    };
    let child = root.attenuate(&scope, &terms(Ceiling::Parent)).expect("covered");
    let leaf = child.attenuate(
        &Scope { kv: vec![kv("notes", "a/b/", KvMode::Read)], ..Scope::default() },
        &terms(Ceiling::Parent),
    );
    let leaf = leaf.expect("covered");
    let chain = [&leaf, &child, &root];
    let ask = |allows: Option<&Authority>, text: &str| match why(&chain, false, &video(), allows, &rule(text))
    {
        Verdict::Allowed(rule) => rule,
        Verdict::Refused(Refusal { side, steps, is_revoked }) => {
            format!("{side} {steps}{}", if is_revoked { " revoked" } else { "" })
        }
    };
    assert_eq!(ask(None, "kv notes/a/b/c"), r#"kv notes prefix "a/b/" (read)"#);
    assert_eq!(ask(Some(&Authority::default()), "kv notes/a/b/c"), "operator 0 revoked");
    assert_eq!(ask(None, "kv notes/a/c"), "parent 1");
    assert_eq!(ask(None, "kv notes/b"), "parent 2");
    assert_eq!(ask(None, "artifacts"), "parent 2");
    assert_eq!(ask(None, "spawn depth 1"), "parent 2", "its parent's last level is its own");
    assert_eq!(ask(None, "kv other/b"), "manifest 0");
    let wide = Authority { kv: vec![kv("other", "", KvMode::Read)], ..video() };
    let cut_by_a_tool = |allows| why(&[&leaf, &child], true, &wide, allows, &rule("kv other/b"));
    let refusal = |side, steps| Verdict::Refused(Refusal { side, steps, is_revoked: false });
    assert_eq!(cut_by_a_tool(None), refusal(Side::Parent, 2));
    assert_eq!(cut_by_a_tool(Some(&video())), refusal(Side::Operator, 0));
    assert_eq!(why(&[&child], true, &wide, None, &rule("kv other/b")), refusal(Side::Parent, 1));
    let allowed_since = why(&[&child, &root], false, &wide, None, &rule("kv other/b"));
    assert_eq!(allowed_since, refusal(Side::Operator, 0));
}

#[test]
fn who_gave_too_little_to_spend_is_said() {
    let spawns = |spawns| Purse { spawns, ..Purse::default() };
    let side = |spawns| Authority {
        spawn: spawn(&["video/render"], 1, 1),
        purse: Purse { spawns, ..video().purse },
        ..video()
    };
    let index = Purse::LIMITS.iter().position(|name| *name == "purse.spawns").expect("it is there");
    let ask = |given, left, root: Option<(u64, u64)>| {
        let sides = root.map(|(asks, allows)| (side(asks), side(allows)));
        let sides = sides.as_ref().map(|(asks, allows)| (asks, allows));
        why_not_spend(index, 5, &spawns(given), &spawns(left), sides)
    };
    assert_eq!(ask(10, 5, None), None);
    assert_eq!(ask(10, 4, None), Some(Side::Purse));
    assert_eq!(ask(4, 4, None), Some(Side::Parent));
    assert_eq!(ask(4, 4, Some((4, 9))), Some(Side::Manifest));
    assert_eq!(ask(4, 4, Some((9, 4))), Some(Side::Operator));
    assert_eq!(ask(4, 4, Some((9, 9))), Some(Side::Conversation));
}
