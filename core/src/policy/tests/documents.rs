//! Documents, merging and fitting by example: behaviours 1, 5, 9, 10 and 14.

use std::collections::BTreeMap;

use super::super::{
    Doc, Document, REGISTRY_POLICY_LIMIT, Statement, Stored, TooLarge, fit, is_dormant_under_v1, merge,
};
use super::{aws, china, pull};
use crate::ownership::{InstallationId, Mark, Sid};

fn us() -> InstallationId {
    InstallationId::of_cluster("our cluster")
}

fn is_ours(stored: &Stored) -> bool {
    matches!(us().read(stored.sid()), Mark::Ours(_))
}

fn ours(statements: &[Statement]) -> BTreeMap<Sid, Statement> {
    statements.iter().map(|statement| (us().sid(statement), statement.clone())).collect()
}

fn stored(raw: &str) -> Stored {
    Document::parse(&format!(r#"{{"Statement":[{raw}]}}"#)).unwrap().statements()[0].clone()
}

/// Behaviour 5: what cannot be carried over is refused, with a reason a person can act on.
#[test]
fn a_malformed_document_is_refused_with_its_reason() {
    let cases = [
        ("", "the policy ends too early"),
        ("{", "the policy ends too early"),
        ("not json", "the policy is not JSON"),
        ("{} {}", "the policy is not JSON: trailing characters"),
        ("[]", "the policy is not a JSON object"),
        ("null", "the policy is not a JSON object"),
        (r#"{"Statement":42}"#, "the policy's Statement is neither an object nor a list of objects"),
        (r#"{"Statement":"{}"}"#, "the policy's Statement is neither an object nor a list of objects"),
        (r#"{"Statement":[{},null]}"#, "the policy's Statement is neither an object nor a list of objects"),
        (r#"{"Statement":[[{}]]}"#, "the policy's Statement is neither an object nor a list of objects"),
        (r#"{"Statement":[],"Statement":[]}"#, "the policy has more than one member \"Statement\""),
        (r#"{"Statement":[],"St\u0061tement":[]}"#, "the policy has more than one member \"Statement\""),
        (r#"{"Statement":[],"statement":[]}"#, "the policy has more than one member \"statement\""),
        (r#"{"Id":"a","Id":"a"}"#, "the policy has more than one member \"Id\""),
        (r#"{"statement":[]}"#, "the policy has a member \"statement\", which differs from AWS's only in letter case"),
        (r#"{"Version":20121017}"#, "the policy's Version is not a string"),
    ];
    for (text, reason) in cases {
        let Doc::Unreadable(given) = Doc::of(Some(text)) else { panic!("{text} was read") };
        assert!(given.starts_with(reason), "{text}: {given}");
    }
    assert_eq!(Doc::of(None), Doc::Absent);
    assert!(matches!(Doc::of(Some("{}")), Doc::Parsed(_)));
}

/// Behaviour 9: unknown Sid, no Sid, two with one Sid, odd fields; add, change, delete of ours; in place and in value.
#[test]
fn a_foreign_statement_survives_every_merge() {
    let [first, second, third] = ["111111111111", "222222222222", "333333333333"].map(|account| pull(&[account]));
    let stands = first.to_value(Some(us().sid(&first).as_str()));
    let text = format!(
        r#"{{ "Id" : "x y", "Statement": [
            {{"Sid":"Twice", "Action":"ecr:*","n": 1.50, "n": 1e400}},
            {stands},
            {{ "Odd": "\u0041\ud800 ", "Sid": null }}, {{"Sid":"Twice"}}
        ], "Version":"2008-10-17", "x-\u0061": [ 1 ] }}"#
    );
    let foreign = [
        r#"{"Sid":"Twice","Action":"ecr:*","n":1.50,"n":1e400}"#,
        r#"{"Odd":"\u0041\ud800 ","Sid":null}"#,
        r#"{"Sid":"Twice"}"#,
    ];
    let document = Document::parse(&text).unwrap();
    let expect = |before: &str, after: &str| {
        let [a, b, c] = foreign;
        format!(r#"{{"Id":"x y","Statement":[{a},{before}{b},{c}{after}],"Version":"2008-10-17","x-\u0061":[1]}}"#)
    };
    let sent = |statements: &[Statement]| merge(Some(&document), &ours(statements), is_ours).to_text();
    let own = |statement: &Statement| statement.to_value(Some(us().sid(statement).as_str())).to_string();

    assert_eq!(sent(std::slice::from_ref(&first)), expect(&format!("{},", own(&first)), ""));
    assert_eq!(sent(&[]), expect("", ""));
    let mut added = [(us().sid(&second), own(&second)), (us().sid(&third), own(&third))];
    added.sort();
    let appended = format!(",{},{}", added[0].1, added[1].1);
    assert_eq!(sent(&[third.clone(), second.clone()]), expect("", &appended));
    assert_eq!(sent(&[first.clone(), second, third]), expect(&format!("{},", own(&first)), &appended));
}

/// Behaviours 10 and 11: ours is written fresh, a second copy goes, and the last one leaves an empty document.
#[test]
fn ours_is_written_fresh_and_once() {
    let statement = pull(&["111111111111", "222222222222"]);
    let sid = us().sid(&statement);
    let tampered = pull(&["*"]).to_value(Some(sid.as_str()));
    let text = format!(r#"{{"Statement":[{tampered},{tampered}]}}"#);
    let document = Document::parse(&text).unwrap();
    let merged = merge(Some(&document), &ours(std::slice::from_ref(&statement)), is_ours);
    assert_eq!(merged.statements().len(), 1);
    assert_eq!(merged.statements()[0].normal(aws()), Some(statement));
    assert!(merge(Some(&document), &BTreeMap::new(), is_ours).is_empty());
}

/// Behaviour 9: foreign depth costs no stack and no value.
#[test]
fn a_foreign_statement_may_be_as_deep_as_it_likes() {
    let deep = format!("{}1.0{}", r#"{"a":["#.repeat(50_000), "]}".repeat(50_000));
    let document = Document::parse(&format!(r#"{{"Statement":{deep}}}"#)).unwrap();
    let merged = merge(Some(&document), &ours(&[pull(&["111111111111"])]), is_ours);
    assert_eq!(merged.statements()[0].raw(), deep);
    assert_eq!(merged.statements()[0].normal(aws()), None);
    assert_ne!(document.statements()[0].fingerprint(aws()), stored(&deep.replace("1.0", "1.00")).fingerprint(aws()));
}

/// Rule 1 and aws-facts B.7: Version is written for a new document only.
#[test]
fn the_version_of_an_existing_document_is_never_changed() {
    let wanted = ours(&[pull(&["111111111111"])]);
    let version =
        |text: &str| merge(Document::parse(text).ok().as_ref(), &wanted, is_ours).version().map(str::to_owned);
    assert_eq!(version(r#"{"Version":"2008-10-17"}"#).as_deref(), Some("2008-10-17"));
    assert_eq!(version("{}"), None);
    assert_eq!(merge(None, &wanted, is_ours).version(), Some("2012-10-17"));
    assert_eq!(Document::empty().to_text(), r#"{"Version":"2012-10-17","Statement":[]}"#);
}

#[test]
fn our_statement_is_sent_short_and_in_aws_own_order() {
    let statement = pull(&["111111111111"]).when("StringEquals", "aws:PrincipalOrgID", &["o-1"]);
    let text = statement.to_value(Some("Ecp1")).to_string();
    let expected = concat!(
        r#"{"Sid":"Ecp1","Effect":"Allow","Principal":{"AWS":"111111111111"},"#,
        r#""Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"#,
        r#""Resource":"arn:aws:ecr:eu-west-1:111122223333:repository/team-a/*","#,
        r#""Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}"#
    );
    assert_eq!(text, expected);
    assert_eq!(
        pull(&["*"]).on(&[]).actions(&["ecr:PutImage"]).to_value(None).to_string(),
        r#"{"Effect":"Allow","Principal":"*","Action":"ecr:PutImage"}"#
    );
}

/// The ledger and every Sid rest on this text: a change here orphans what is in AWS.
#[test]
fn the_canonical_text_is_for_ever() {
    let statement = pull(&["222222222222", "111111111111", "arn:aws:iam::1:role/R"])
        .service("codebuild.amazonaws.com")
        .when("StringEquals", "aws:PrincipalOrgID", &["o-2", "o-1"])
        .when("Bool", "aws:SecureTransport", &[]);
    let expected = concat!(
        r#"{"Effect":"Allow","Principal":{"AWS":["111111111111","222222222222","arn:aws:iam::1:role/R"],"#,
        r#""Service":["codebuild.amazonaws.com"]},"Action":["ecr:batchgetimage","ecr:getdownloadurlforlayer"],"#,
        r#""Resource":["arn:aws:ecr:eu-west-1:111122223333:repository/team-a/*"],"#,
        r#""Condition":{"Bool":{"aws:securetransport":[]},"StringEquals":{"aws:principalorgid":["o-1","o-2"]}}}"#
    );
    assert_eq!(statement.canonical(), expected);
    assert_eq!(us().sid(&statement).as_str(), "Ecp5ahp5xo4r2p4jrvv5ctcb5aefv5qalk2vqxe");
    let back = Statement::from_canonical(expected).unwrap();
    assert_eq!(back, statement);
    for bad in [
        "",
        "{",
        "{}",
        " {}",
        &expected.replace("ecr:batch", "ecr:Batch"),
        &expected.replace(',', ", "),
        &format!("{expected}x"),
    ] {
        assert!(Statement::from_canonical(bad).is_err(), "{bad}");
    }
}

/// Behaviour 14: characters, as sent; 10,240 pass, 10,241 do not.
#[test]
fn the_limit_counts_the_characters_that_are_sent() {
    let padded =
        |n: usize| Document::parse(&format!(r#"{{ "Id" : "{}", "Statement" : [ ] }}"#, "é".repeat(n))).unwrap();
    let frame = padded(0).to_text().chars().count();
    let fits = fit(padded(REGISTRY_POLICY_LIMIT - frame), REGISTRY_POLICY_LIMIT, aws()).unwrap();
    assert_eq!((fits.characters(), fits.text().chars().count()), (10_240, 10_240));
    assert_eq!(fits.text(), fits.value().to_text());
    let refused = fit(padded(REGISTRY_POLICY_LIMIT - frame + 1), REGISTRY_POLICY_LIMIT, aws()).unwrap_err();
    assert_eq!(refused, TooLarge { characters: 10_241, limit: 10_240 });
    assert_eq!(refused.to_string(), "the policy would have 10241 characters, AWS takes 10240");
}

/// What we do not fully understand is never judged by the part we do.
#[test]
fn a_statement_we_cannot_express_has_no_normal_form() {
    let good = r#"{"Effect":"allow","Principal":{"AWS":["arn:aws:iam::111111111111:root","111111111111"]},"Action":"ECR:putimage"}"#;
    let normal = stored(good).normal(aws()).unwrap();
    assert_eq!(normal, pull(&["111111111111"]).on(&[]).actions(&["ecr:PutImage"]));
    assert_eq!(stored(good).normal(china()).unwrap().principals.len(), 2);
    let head = r#"{"Effect":"Allow","Principal":"*","Action":"ecr:PutImage""#;
    let bad = [
        r#"{"Effect":"Allow","Principal":"*","NotAction":"ecr:PutImage"}"#.to_owned(),
        r#"{"Effect":"Allow","NotPrincipal":"*","Action":"ecr:PutImage"}"#.to_owned(),
        r#"{"Effect":"Allow","Principal":"111111111111","Action":"ecr:PutImage"}"#.to_owned(),
        r#"{"Effect":"Allow","Principal":{"Federated":"x"},"Action":"ecr:PutImage"}"#.to_owned(),
        r#"{"Effect":"Allow","Principal":{"AWS":[]},"Action":"ecr:PutImage"}"#.to_owned(),
        r#"{"Effect":"Allow","Principal":{"AWS":["1"],"AWS":["2"]},"Action":"ecr:PutImage"}"#.to_owned(),
        r#"{"Effect":"Allow","Principal":"*"}"#.to_owned(),
        r#"{"Effect":"Maybe","Principal":"*","Action":"ecr:PutImage"}"#.to_owned(),
        r#"{"Principal":"*","Action":"ecr:PutImage"}"#.to_owned(),
        format!(r#"{head},"Action":"ecr:PutImage"}}"#),
        format!(r#"{head},"Extra":1}}"#),
        format!(r#"{head},"NotResource":"x"}}"#),
        format!(r#"{head},"Resource":[["x"]]}}"#),
        format!(r#"{head},"Sid":7}}"#),
        format!(r#"{head},"Condition":[]}}"#),
        format!(r#"{head},"Condition":{{"StringEquals":{{"a:B":"1","A:b":"2"}}}}}}"#),
        format!(r#"{head},"Condition":{{"StringEquals":{{"a:b":null}}}}}}"#),
    ];
    for raw in bad {
        assert_eq!(stored(&raw).normal(aws()), None, "{raw}");
        assert!(is_dormant_under_v1(&stored(&raw), aws()), "{raw}");
    }
}

/// aws-facts B.5: all that AWS does to a stored statement leaves its fingerprint.
#[test]
fn a_fingerprint_sees_through_spelling_and_nothing_else() {
    let plain = r#"{"Sid":"s","Effect":"Deny","NotPrincipal":{"AWS":"111111111111"},"Action":["a:B","c:d"],"Condition":{"Bool":{"k:K":true}},"Odd":[1,2]}"#;
    let same = r#"{"Odd":[1, 2],"Condition":{"Bool":{"K:k":["true"]}},"Action":["C:D","a:b","a:b"],"NotPrincipal":{"AWS":["arn:aws:iam::111111111111:root"]},"Effect":"deny","Sid":"s"}"#;
    let print = |raw: &str| stored(raw).fingerprint(aws());
    assert_eq!(print(plain), print(same));
    let changes = [
        ("\"s\"", "\"t\""),
        ("Deny", "Allow"),
        ("NotPrincipal", "Principal"),
        ("a:B", "a:X"),
        ("true", "false"),
        ("[1,2]", "[2,1]"),
        ("111111111111", "*"),
    ];
    for (from, to) in changes {
        assert_ne!(print(plain), print(&plain.replace(from, to)), "{from} -> {to}");
    }
}

/// A Sid that is not one text is nobody's: such a statement is foreign.
#[test]
fn a_doubtful_sid_is_no_sid() {
    let own = us().sid(&pull(&["*"]));
    let twice = format!(r#"{{"Sid":"{own}","Sid":"{own}"}}"#);
    for raw in [twice.as_str(), r#"{"Sid":["x"]}"#, r#"{"Sid":null}"#, r#"{"sid":"x"}"#, "{}"] {
        assert_eq!(stored(raw).sid(), None, "{raw}");
    }
    assert_eq!(stored(r#"{"S\u0069d":"x\u0041"}"#).sid(), Some("xA"));
}

/// Behaviour 16 and aws-facts K.1: what a switch to V2 would wake.
#[test]
fn statements_beyond_the_three_actions_are_dormant_under_v1() {
    let dormant = |actions: &str| {
        is_dormant_under_v1(&stored(&format!(r#"{{"Effect":"Deny","Principal":"*","Action":{actions}}}"#)), aws())
    };
    assert!(!dormant(r#"["ECR:ReplicateImage","ecr:CreateRepository","ecr:BatchImportUpstreamImage"]"#));
    for beyond in [r#""ecr:*""#, r#""*""#, r#""ecr:Replicate*""#, r#"["ecr:ReplicateImage","ecr:PutImage"]"#] {
        assert!(dormant(beyond), "{beyond}");
    }
}
