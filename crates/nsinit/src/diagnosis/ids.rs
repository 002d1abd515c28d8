//! Parent: which ids the caller could map into a user namespace, and what is missing for more.

use nsinit_namespaces::SubordinateIds;

/// What gives the caller subordinate ids, where it has none that it can map.
pub(crate) fn remedy(ids: &SubordinateIds) -> Option<String> {
    let SubordinateIds { user, uids, gids, mappable } = ids;
    let file = match (uids, gids) {
        (0, 0) => "neither /etc/subuid nor /etc/subgid has ids",
        (0, _) => "/etc/subuid has no ids",
        (_, 0) => "/etc/subgid has no ids",
        _ if !mappable => {
            return Some(
                "newuidmap and newgidmap are not installed (package uidmap on Debian and Ubuntu, \
                 else shadow-utils)"
                    .into(),
            );
        }
        _ => return None,
    };
    Some(format!(
        "{file} for user {user}: as root: usermod --add-subuids 100000-165535 --add-subgids \
         100000-165535 {user}; or map ids with uid_mappings and gid_mappings"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told() {
        let told = |uids, gids, mappable| {
            remedy(&SubordinateIds { user: "koye".into(), uids, gids, mappable })
        };
        assert_eq!(told(5, 5, true), None);
        assert!(
            told(5, 5, false).unwrap().starts_with("newuidmap and newgidmap are not installed")
        );
        let none = told(0, 0, false).unwrap();
        assert!(none.starts_with("neither /etc/subuid nor /etc/subgid has ids for user koye: as "));
        assert!(told(0, 5, true).unwrap().starts_with("/etc/subuid has no ids for user koye"));
        assert!(told(5, 0, true).unwrap().starts_with("/etc/subgid has no ids for user koye"));
    }
}
