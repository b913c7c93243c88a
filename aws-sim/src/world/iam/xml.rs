//! Roles and lists as IAM's XML.

use crate::world::World;
use crate::world::moment::iso;
use crate::world::role::Role;
use crate::world::wire::escape;

/// `<Role>…</Role>`.
pub(super) fn role(world: &mut World, role: &Role) -> String {
    let trust = encoded(&world.render_trust(role));
    let description = role.description.as_ref().map(|text| element("Description", text)).unwrap_or_default();
    let boundary = role.permissions_boundary.as_ref().map(|arn| {
        let inner = element("PermissionsBoundaryType", "Policy") + &element("PermissionsBoundaryArn", arn);
        format!("<PermissionsBoundary>{inner}</PermissionsBoundary>")
    });
    let tags = members(role.tags.iter().map(tag));
    let tags = if tags.is_empty() { tags } else { format!("<Tags>{tags}</Tags>") };
    format!(
        "<Role>{}{}{}{}{}{}{description}<MaxSessionDuration>{}</MaxSessionDuration>{}{tags}</Role>",
        element("Path", &role.path),
        element("RoleName", &role.name),
        element("RoleId", &role.id),
        element("Arn", &role.arn),
        element("CreateDate", &iso(role.created_at)),
        element("AssumeRolePolicyDocument", &trust),
        role.max_session_seconds,
        boundary.unwrap_or_default(),
    )
}

/// A tag as a member of a list.
pub(super) fn tag((key, value): (&String, &String)) -> String {
    element("Key", key) + &element("Value", value)
}

/// `<member>` around each of the items.
pub(super) fn members(items: impl Iterator<Item = String>) -> String {
    items.fold(String::new(), |list, item| list + "<member>" + &item + "</member>")
}

/// An element with a text.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// A document as IAM returns it: URL-encoded by RFC 3986 (aws-facts A.3).
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len() * 2), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or_default().to_ascii_uppercase();
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn documents_are_encoded_by_rfc_3986() {
        assert_eq!(encoded("{\"a\": [\"b-_.~*é\"]}"), "%7B%22a%22%3A%20%5B%22b-_.~%2A%C3%A9%22%5D%7D");
    }
}
