//! GetCallerIdentity: needs no permission, says who one is.

use crate::world::identity::Caller;
use crate::world::wire::escape;

pub(super) fn run(caller: &Caller) -> String {
    format!(
        "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
        escape(&caller.arn),
        escape(&caller.user_id),
        escape(&caller.account)
    )
}
