//! AssumeRole: a missing role, an untrusted caller, a wrong external id and a role not yet visible look alike (A.4).

use std::time::Duration;

use crate::world::World;
use crate::world::account::session_caller;
use crate::world::error::AwsError;
use crate::world::identity::Caller;
use crate::world::moment::iso;
use crate::world::policy::evaluate::{Subject, Verdict};
use crate::world::wire::{Asked, escape, form_value};

const HOUR: u64 = 3_600;

/// What was asked for, checked.
struct Wanted {
    role_arn: String,
    session_name: String,
    lasting: u64,
    external_id: Option<String>,
}

pub(super) fn run(world: &mut World, caller: &Caller, asked: &Asked) -> Result<String, AwsError> {
    let wanted = read(&asked.body, caller)?;
    let denied = || {
        AwsError::new(
            403,
            "AccessDenied",
            format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {}",
                caller.arn, wanted.role_arn
            ),
        )
    };
    let mut parts = wanted.role_arn.split(':');
    let (partition, account) = (parts.nth(1).unwrap_or_default(), parts.nth(2).unwrap_or_default());
    let role = world.role_seen(&wanted.role_arn).ok_or_else(denied)?;
    let external_id = wanted.external_id.iter().map(|id| ("sts:externalid".to_owned(), id.clone()));
    let session_name = [("sts:rolesessionname".to_owned(), wanted.session_name.clone())];
    let more = external_id.chain(session_name).collect();
    if !matches!(world.trusts(&wanted.role_arn, &subject_of(world, caller), more), Verdict::Allowed(_)) {
        return Err(denied());
    }
    if !caller.is_role && wanted.lasting > u64::from(role.max_session_seconds) {
        return Err(AwsError::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    let unique_id = role.id.clone();
    let session = session_caller(account, partition, &wanted.role_arn, &unique_id, &wanted.session_name);
    let (arn, id) = (session.arn.clone(), session.user_id.clone());
    let (key_id, secret, token) = world.mint(session, Duration::from_secs(wanted.lasting));
    let expires = iso(world.epoch + world.now.as_secs() + wanted.lasting);
    Ok(format!(
        "<AssumedRoleUser><AssumedRoleId>{}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>",
        escape(&id),
        escape(&arn)
    ))
}

/// The caller as policies see it: a session is its role's too, path and all.
fn subject_of(world: &World, caller: &Caller) -> Subject {
    Subject { entity_arn: caller.entity_arn.clone(), ..world.subject(&caller.arn) }
}

fn read(body: &[u8], caller: &Caller) -> Result<Wanted, AwsError> {
    let wanted = |name: &str| {
        let member = format!("{}{}", name[..1].to_ascii_lowercase(), &name[1..]);
        form_value(body, name).ok_or_else(|| {
            AwsError::validation(format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not \
                 be null"
            ))
        })
    };
    let role_arn = wanted("RoleArn")?;
    let session_name = wanted("RoleSessionName")?;
    if role_arn.splitn(6, ':').count() != 6 || !role_arn.starts_with("arn:") || role_arn.len() > 2048 {
        return Err(AwsError::validation(format!("{role_arn} is invalid")));
    }
    check("roleSessionName", &session_name, 2..=64, "=,.@-")?;
    let external_id = form_value(body, "ExternalId");
    if let Some(id) = &external_id {
        check("externalId", id, 2..=1224, "=,.@:/-+")?;
    }
    let lasting = match form_value(body, "DurationSeconds") {
        None => HOUR,
        Some(text) => text.parse().map_err(|_| AwsError::validation("DurationSeconds is not a number"))?,
    };
    check_duration(lasting, caller)?;
    Ok(Wanted { role_arn, session_name, lasting, external_id })
}

/// aws-facts A.4: 900 to 43,200 seconds, an hour when one role assumes another.
fn check_duration(lasting: u64, caller: &Caller) -> Result<(), AwsError> {
    if !(900..=43_200).contains(&lasting) {
        return Err(AwsError::validation(format!(
            "1 validation error detected: Value '{lasting}' at 'durationSeconds' failed to satisfy constraint: Member \
             must have value between 900 and 43200"
        )));
    }
    if caller.is_role && lasting > HOUR {
        return Err(AwsError::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
        ));
    }
    Ok(())
}

fn check(member: &str, value: &str, length: std::ops::RangeInclusive<usize>, also: &str) -> Result<(), AwsError> {
    let is_good = length.contains(&value.len())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || also.contains(c));
    if is_good {
        return Ok(());
    }
    Err(AwsError::validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must satisfy \
         its length and pattern"
    )))
}
