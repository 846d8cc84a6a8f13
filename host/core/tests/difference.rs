//! Properties of the difference: it leads from what is to what is to be, says nothing where they are equal, and removes
//! nothing that a read could not see.

use std::collections::BTreeSet;

use proptest::prelude::*;
use raito_core::difference::{Fact, FactSet, Options, Principal, Unread, difference};
use raito_core::record::{MemberKind, ObjectRef};
use raito_core::text::{ExternalId, Kind, Name, PathPart, PermissionName};

fn control() -> impl Strategy<Value = Name> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(|name| Name::new(name).expect("a name"))
}

fn id() -> impl Strategy<Value = ExternalId> {
    prop::sample::select(vec!["u1", "u2", "g1"]).prop_map(|id| ExternalId::new(id).expect("an id"))
}

fn object() -> impl Strategy<Value = ObjectRef> {
    prop::sample::select(vec!["t1", "t2", "t3"]).prop_map(|name| ObjectRef {
        kind: Kind::new("table").expect("a kind"),
        path: vec![PathPart::new(name).expect("a part")],
        signature: None,
    })
}

fn permission() -> impl Strategy<Value = PermissionName> {
    prop::sample::select(vec!["SELECT", "INSERT"]).prop_map(|name| PermissionName::new(name).expect("a permission"))
}

fn principal() -> impl Strategy<Value = Principal> {
    prop_oneof![control().prop_map(Principal::Control), id().prop_map(|id| Principal::Member(MemberKind::User, id))]
}

fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        (control(), id()).prop_map(|(control, id)| Fact::Member { control, kind: MemberKind::User, id }),
        (principal(), object(), permission()).prop_map(|(principal, object, permission)| Fact::Permission {
            principal,
            object,
            permission,
            condition: None
        }),
        (principal(), object(), permission()).prop_map(|(principal, under, permission)| Fact::Standing {
            principal,
            under,
            kind: Kind::new("table").expect("a kind"),
            creator: None,
            permission
        }),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    (any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of(1_u64..3)).prop_map(
        |(inherits, assumable, may_pass_on, expires_ms)| Options { inherits, assumable, may_pass_on, expires_ms },
    )
}

fn facts() -> impl Strategy<Value = FactSet> {
    prop::collection::btree_map(fact(), options(), 0..24)
}

fn unread() -> impl Strategy<Value = Unread> {
    (any::<bool>(), prop::collection::btree_set(control(), 0..3))
        .prop_map(|(anything, controls)| Unread { anything, controls })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn carrying_it_out_leads_to_what_is_desired(actual in facts(), desired in facts()) {
        let difference = difference(&actual, &desired, &Unread::nothing());
        prop_assert_eq!(difference.apply(&actual), desired);
    }

    #[test]
    fn equals_have_none(facts in facts(), unread in unread()) {
        let difference = difference(&facts, &facts, &unread);
        prop_assert!(difference.is_empty() && difference.keep.is_empty());
    }

    #[test]
    fn what_was_not_read_whole_is_never_removed(actual in facts(), desired in facts(), controls in prop::collection::btree_set(control(), 0..3)) {
        let all = difference(&actual, &desired, &Unread { anything: true, controls: BTreeSet::new() });
        prop_assert_eq!(&all.remove, &vec![]);
        let some = difference(&actual, &desired, &Unread { anything: false, controls: controls.clone() });
        for (fact, _) in &some.remove {
            let of = match fact {
                Fact::Member { control, .. } => Some(control),
                Fact::Permission { principal: Principal::Control(control), .. } | Fact::Standing { principal: Principal::Control(control), .. } => Some(control),
                Fact::Permission { .. } | Fact::Standing { .. } => None,
            };
            prop_assert!(of.is_none_or(|control| !controls.contains(control)));
        }
        // What is kept instead of removed is the only thing that the unread part changes.
        let whole = difference(&actual, &desired, &Unread::nothing());
        let together: BTreeSet<_> = some.remove.iter().chain(&some.keep).cloned().collect();
        prop_assert_eq!(together, whole.remove.into_iter().collect::<BTreeSet<_>>());
    }
}
