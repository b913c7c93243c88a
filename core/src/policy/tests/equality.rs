//! Semantic equality as tables: the 46 pairs of aws-facts C.2 by their names, and the deviations of C.3.

use super::super::{Document, Flavour, equivalent};
use super::{aws, china};

const EQUAL: Option<bool> = Some(true);
const DIFFERENT: Option<bool> = Some(false);
const ERROR: Option<bool> = None;

fn document(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

/// The base statement of aws-facts C.2 with some members in place of its own or added to them.
fn base(members: &[(&str, &str)]) -> String {
    let mut all = vec![
        ("Sid", r#""""#),
        ("Effect", r#""Allow""#),
        ("Principal", r#"{"Service":"spotfleet.amazonaws.com"}"#),
        ("Action", r#""sts:AssumeRole""#),
    ];
    all.retain(|(name, _)| !members.iter().any(|(other, _)| other == name));
    // What is given comes first, so that the order of members differs as well; an empty text leaves a member out.
    let given = members.iter().filter(|(_, value)| !value.is_empty());
    let members: Vec<_> = given.chain(&all).map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn one(members: &[(&str, &str)]) -> String {
    document(&base(members))
}

fn bucket(condition: &str) -> String {
    let bucket = r#""Effect":"Allow","Action":["s3:PutObject"],"Resource":["arn:aws:s3:::examplebucket/*"]"#;
    document(&format!(r#"{{"Sid":"statement1",{bucket},"Condition":{condition}}}"#))
}

fn everything(principal: &str) -> String {
    one(&[("Action", r#""*""#), ("Resource", r#""*""#), ("Principal", principal)])
}

fn roles(names: [&str; 6]) -> String {
    let arns = names.map(|name| format!(r#""arn:aws:iam::123456789012:role/{name}""#));
    everything(&format!(r#"{{"AWS":[{}]}}"#, arns.join(",")))
}

type Pair = (&'static str, String, String, Option<bool>);

fn pairs_on_statements() -> Vec<Pair> {
    let service = |name: &str| format!(r#"{{"Service":{name}}}"#);
    let ec2 = service(r#""ec2.amazonaws.com""#);
    let spotfleet = service(r#"["spotfleet.amazonaws.com"]"#);
    let session = [("NotAction", r#""sts:GetSessionToken""#)];
    let three = ["a", "b", "c"].map(|sid| base(&[("Sid", &format!("\"{sid}\""))]));
    let [a, b, c] = &three;
    let broken = r#"{"Statement":[{]}"#.to_owned();
    vec![
        ("Invalid policy JSON", broken.clone(), broken, ERROR),
        ("Identical policy text", one(&[]), one(&[]), EQUAL),
        ("Action single array vs string", one(&[]), one(&[("Action", r#"["sts:AssumeRole"]"#)]), EQUAL),
        ("Action, different action", one(&[]), one(&[("Action", r#"["sts:GetSessionToken"]"#)]), DIFFERENT),
        ("NotAction and Action, mixed", one(&[("NotAction", r#"["sts:GetSessionToken"]"#)]), one(&session), EQUAL),
        ("NotAction on one side", one(&[]), one(&session), DIFFERENT),
        ("Principal array vs string", one(&[]), one(&[("Principal", &spotfleet)]), EQUAL),
        ("Different principal", one(&[("Principal", &ec2)]), one(&[("Principal", &spotfleet)]), DIFFERENT),
        (
            "String principal",
            one(&[("Principal", r#""*""#)]),
            everything(r#""*""#).replace(r#""Action":"*","Resource":"*""#, r#""Action":"sts:AssumeRole""#),
            EQUAL,
        ),
        (
            "String NotPrincipal",
            one(&[("Principal", ""), ("NotPrincipal", r#""*""#)]),
            one(&[("NotPrincipal", r#""*""#), ("Principal", "")]),
            EQUAL,
        ),
        (
            "Different NotPrincipal",
            one(&[("Principal", ""), ("NotPrincipal", &ec2)]),
            one(&[("Principal", ""), ("NotPrincipal", &spotfleet)]),
            DIFFERENT,
        ),
        ("Different Effect (Version)", one(&[]), one(&[]).replace("2012-10-17", "2012-06-17"), DIFFERENT),
        ("Different Version (Effect)", one(&[("Effect", r#""Deny""#)]), one(&[]), DIFFERENT),
        ("Multiple statements", document(&three.join(",")), document(&[c.as_str(), a, b].join(",")), EQUAL),
        ("Missing statement in B", document(&three.join(",")), document(&[a.as_str(), b].join(",")), DIFFERENT),
        ("Casing of Effect", one(&[]), one(&[("Effect", r#""allow""#)]), EQUAL),
        (
            "Single Statement vs array",
            format!(r#"{{"Version":"2012-10-17","Statement":{}}}"#, base(&[])),
            one(&[]),
            EQUAL,
        ),
        ("Empty Principal set", one(&[("Principal", "{}")]), one(&[("Principal", r#"{"Service":[]}"#)]), EQUAL),
        (
            "Empty sets of different types",
            one(&[("Principal", r#"{"Service":[]}"#)]),
            one(&[("Principal", r#"{"AWS":[]}"#)]),
            EQUAL,
        ),
        ("Empty vs missing Principal", one(&[("Principal", "{}")]), one(&[("Principal", "")]), EQUAL),
        (
            "Empty sets vs missing",
            one(&[("Principal", r#"{"Service":[],"AWS":[]}"#)]),
            one(&[("Principal", "")]),
            EQUAL,
        ),
    ]
}

fn pairs_on_conditions() -> Vec<Pair> {
    let acl = bucket(r#"{"StringEquals":{"s3:x-amz-acl":["public-read"]}}"#);
    let three = r#"{"DateGreaterThan":{"aws:CurrentTime":"2013-08-16T12:00:00Z"},"DateLessThan":{"aws:CurrentTime":"2013-08-16T15:00:00Z"},"IpAddress":{"aws:SourceIp":["192.0.2.0/24","203.0.113.0/24"]}}"#;
    let age =
        |operator: &str, value: &str| bucket(&format!(r#"{{"{operator}":{{"aws:MultiFactorAuthAge":{value}}}}}"#));
    let present = |value: &str| bucket(&format!(r#"{{"Bool":{{"aws:MultiFactorAuthPresent":{value}}}}}"#));
    let statement = r#""Action":"sqs:SendMessage","Principal":"*","Condition":{"ArnEquals":{"aws:SourceArn":[]}}"#;
    vec![
        ("Same Condition", acl.clone(), acl.clone(), EQUAL),
        ("Different Condition", acl.replace("StringEquals", "StringNotEquals"), acl.clone(), DIFFERENT),
        ("Condition string vs array", bucket(r#"{"StringEquals":{"s3:x-amz-acl":"public-read"}}"#), acl.clone(), EQUAL),
        ("Multiple Condition blocks in one", acl, bucket(three), DIFFERENT),
        ("Multiple Condition blocks, same", bucket(three), bucket(three), EQUAL),
        ("Boolean condition quotes", present("true"), present(r#""true""#), EQUAL),
        ("Numeric, single", age("NumericLessThanEquals", "100"), age("NumericLessThanEquals", r#""100""#), EQUAL),
        (
            "Numeric, array",
            age("NumericEquals", "[100.01, 200.2]"),
            age("NumericEquals", r#"["200.2","100.01"]"#),
            EQUAL,
        ),
        (
            "Condition with empty array",
            format!(r#"{{"Id":"sqspolicy","Statement":[{{{statement},"Effect":"Allow"}}],"Version":"2012-10-17"}}"#),
            format!(r#"{{"Version":"2012-10-17","Id":"sqspolicy","Statement":[{{"Effect":"Allow",{statement}}}]}}"#),
            EQUAL,
        ),
    ]
}

fn pairs_on_shapes() -> Vec<Pair> {
    let root = |account: &str| format!(r#""arn:aws:iam::{account}:root""#);
    let (id, root_arn, other) = (r#""123456789012""#, root("123456789012"), root("999999999999"));
    let aws_list = |entries: &str| everything(&format!(r#"{{"AWS":{entries}}}"#));
    let same = |text: &str| (text.to_owned(), text.to_owned());
    let (no_statement, number) =
        (same(r#"{"Version":"2012-10-17"}"#), same(r#"{"Version":"2012-10-17","Statement":42}"#));
    let (object, nested) = (one(&[("Resource", "{}")]), one(&[("Resource", "[[42]]")]));
    let names = ["franz", "morgan", "titan", "kristina", "maria", "jodie"];
    let permuted = roles(["maria", "morgan", "kristina", "jodie", "franz", "titan"]);
    let changed = roles(["maria", "morgan", "kristina", "jodie", "franz", "idina"]);
    let assumed = |principal: &str, action: &str| one(&[("Sid", ""), ("Principal", principal), ("Action", action)]);
    let scalar = assumed(r#"{"Service":"ec2.amazonaws.com"}"#, r#""sts:AssumeRole""#);
    let listed = assumed(r#"{"Service":["ec2.amazonaws.com"]}"#, r#"["sts:AssumeRole"]"#);
    let rds = assumed(r#"{"Service":["rds.amazonaws.com"]}"#, r#"["sts:AssumeRole"]"#);
    vec![
        ("String account id vs root", everything(id), everything(&root_arn), EQUAL),
        ("Account id in map, string", aws_list(id), aws_list(&root_arn), EQUAL),
        ("Account id in map, array", aws_list(&format!("[{id}]")), aws_list(&format!("[{root_arn}]")), EQUAL),
        (
            "Account ids, several",
            aws_list(&format!("[{id},{other}]")),
            aws_list(&format!("[{root_arn},{other}]")),
            EQUAL,
        ),
        ("Missing Statement", no_statement.0, no_statement.1, EQUAL),
        ("Incorrect Statement type", number.0, number.1, EQUAL),
        ("Incorrect single Resource", object.clone(), object, EQUAL),
        ("Incorrect multiple Resource", nested.clone(), nested, EQUAL),
        ("Principal order not important", roles(names), permuted.clone(), EQUAL),
        ("Differences matter", permuted, changed, DIFFERENT),
        ("Different empty lists", "[]".to_owned(), "[{\n\n}]".to_owned(), EQUAL),
        (
            "One-length lists",
            one(&[("Action", r#"["s3:PutObject"]"#), ("Resource", "[42, 86]")]),
            one(&[("Action", r#""s3:PutObject""#), ("Resource", "[86, 42]")]),
            EQUAL,
        ),
        ("Equivalent assume-role 1", scalar.clone(), listed.clone(), EQUAL),
        ("Equivalent assume-role 2", listed, scalar.clone(), EQUAL),
        ("Not equivalent assume-role", scalar, rds, DIFFERENT),
        ("Equivalence of emptiness", String::new(), "{}".to_owned(), EQUAL),
    ]
}

/// Behaviours 1–4; aws-facts C.2. No verdict of the 46 is changed by C.3.
#[test]
fn the_46_pairs_of_awspolicyequivalence_have_their_verdicts() {
    let mut pairs = pairs_on_statements();
    pairs.extend(pairs_on_conditions());
    pairs.extend(pairs_on_shapes());
    assert_eq!(pairs.len(), 46);
    for (name, a, b, verdict) in pairs {
        for flavour in [Flavour::Registry, Flavour::Repository, Flavour::Trust] {
            assert_eq!(equivalent(&a, &b, aws(), flavour).ok(), verdict, "{name}, {flavour:?}:\n{a}\n{b}");
            assert_eq!(equivalent(&b, &a, aws(), flavour).ok(), verdict, "{name}, {flavour:?}, the other way");
        }
    }
}

/// Behaviours 1–4; aws-facts C.3: where awspolicyequivalence errs, or could know better.
#[test]
fn the_deviations_have_their_verdicts() {
    let principal = |principal: &str| one(&[("Principal", principal)]);
    let statements = |sids: [&str; 3]| document(&sids.map(|sid| base(&[("Sid", &format!("\"{sid}\""))])).join(","));
    let org = |key: &str| bucket(&format!(r#"{{"StringEquals":{{"{key}":"o-1"}}}}"#));
    let no_version = one(&[]).replace(r#""Version":"2012-10-17","#, "");
    let (id, root, abroad) = (
        r#"{"AWS":"123456789012"}"#,
        r#"{"AWS":"arn:aws:iam::123456789012:root"}"#,
        r#"{"AWS":"arn:aws-cn:iam::123456789012:root"}"#,
    );
    let pairs = [
        ("action case", one(&[]), one(&[("Action", r#""STS:assumerole""#)]), true),
        ("duplicate actions", one(&[]), one(&[("Action", r#"["sts:AssumeRole","sts:assumeRole"]"#)]), true),
        ("duplicate resources", one(&[("Resource", r#""x""#)]), one(&[("Resource", r#"["x","x"]"#)]), true),
        ("condition key case", org("aws:PrincipalOrgID"), org("AWS:principalorgid"), true),
        ("condition value case", org("aws:PrincipalOrgID"), org("aws:PrincipalOrgID").replace("o-1", "O-1"), false),
        ("empty condition", one(&[("Condition", "{}")]), one(&[]), true),
        ("condition without keys", one(&[("Condition", r#"{"StringEquals":{}}"#)]), one(&[]), true),
        ("condition without values", one(&[("Condition", r#"{"StringEquals":{"a:b":[]}}"#)]), one(&[]), false),
        ("everyone, two spellings", principal(r#""*""#), principal(r#"{"AWS":"*"}"#), true),
        ("everyone, in a list", principal(r#""*""#), principal(r#"{"AWS":["*"]}"#), true),
        ("everyone and nobody", principal(r#""*""#), principal(""), false),
        ("everyone and an empty list", principal(r#""*""#), principal(r#"{"AWS":[]}"#), false),
        ("everyone and an account", principal(r#""*""#), principal(r#""111122223333""#), false),
        ("everyone and a role", principal(r#""*""#), principal(r#"{"AWS":"arn:aws:iam::123456789012:role/r"}"#), false),
        ("two bare strings", principal(r#""111122223333""#), principal(r#""444455556666""#), false),
        (
            "id and root at once",
            principal(r#"{"AWS":["123456789012","arn:aws:iam::123456789012:root"]}"#),
            principal(root),
            true,
        ),
        (
            "principals a a b and a b b",
            principal(r#"{"AWS":["a","a","b"]}"#),
            principal(r#"{"AWS":["a","b","b"]}"#),
            true,
        ),
        ("statements A A B and A B B", statements(["a", "a", "b"]), statements(["a", "b", "b"]), true),
        ("statements A A B and A B C", statements(["a", "a", "b"]), statements(["a", "b", "c"]), false),
        ("roots of two partitions", principal(root), principal(abroad), false),
        ("an id and a root abroad", principal(id), principal(abroad), false),
        ("a Sid", one(&[("Sid", r#""x""#)]), one(&[]), false),
        ("no Sid and an empty one", one(&[("Sid", "")]), one(&[("Sid", r#""""#)]), true),
        (
            "no Version is 2008",
            no_version.clone(),
            no_version
                .replace('{', r#"{"Version":"2008-10-17","#)
                .replacen(r#","Statement":[{"Version":"2008-10-17","#, r#","Statement":[{"#, 1)
                .replace(r#"{"Version":"2008-10-17","Service""#, r#"{"Service""#),
            true,
        ),
        ("no Version is not 2012", no_version, one(&[]), false),
        ("2008 is not 2012", one(&[]).replace("2012-10-17", "2008-10-17"), one(&[]), false),
        (
            "a statement and the same in two",
            one(&[("Action", r#"["a:x","a:y"]"#)]),
            document(&[base(&[("Action", r#""a:x""#)]), base(&[("Action", r#""a:y""#)])].join(",")),
            false,
        ),
        (
            "a role and its unique id",
            principal(r#"{"AWS":"arn:aws:iam::123456789012:role/r"}"#),
            principal(r#"{"AWS":"AROAEXAMPLE"}"#),
            false,
        ),
        (
            "role names differ in case",
            principal(r#"{"AWS":"arn:aws:iam::123456789012:role/R"}"#),
            principal(r#"{"AWS":"arn:aws:iam::123456789012:role/r"}"#),
            false,
        ),
        ("an Id", one(&[]).replacen('{', r#"{"Id":"x","#, 1), one(&[]), false),
        ("Statement null and absent", r#"{"Statement":null}"#.to_owned(), "{}".to_owned(), true),
        ("null and the text null", one(&[("Resource", "null")]), one(&[("Resource", r#""null""#)]), false),
        (
            "numbers beyond a float's digits",
            one(&[("Resource", "9007199254740993")]),
            one(&[("Resource", "9007199254740992")]),
            false,
        ),
    ];
    for (name, a, b, verdict) in pairs {
        assert_eq!(equivalent(&a, &b, aws(), Flavour::Registry), Ok(verdict), "{name}:\n{a}\n{b}");
        assert_eq!(equivalent(&b, &a, aws(), Flavour::Registry), Ok(verdict), "{name}, the other way");
    }
}

/// Behaviour 2: the partition is the registry's.
#[test]
fn an_account_id_equals_the_root_arn_of_the_registrys_partition() {
    let (id, abroad) =
        (everything(r#"{"AWS":"123456789012"}"#), everything(r#"{"AWS":"arn:aws-cn:iam::123456789012:root"}"#));
    assert_eq!(equivalent(&id, &abroad, china(), Flavour::Registry), Ok(true));
    assert_eq!(equivalent(&id, &abroad, aws(), Flavour::Registry), Ok(false));
}

/// aws-facts C.3: a repository's policy is attached to one repository.
#[test]
fn no_resource_is_every_resource_in_a_repositorys_policy_only() {
    let (absent, any) = (one(&[]), one(&[("Resource", r#"["*"]"#)]));
    assert_eq!(equivalent(&absent, &any, aws(), Flavour::Repository), Ok(true));
    assert_eq!(equivalent(&absent, &any, aws(), Flavour::Registry), Ok(false));
    assert_eq!(equivalent(&absent, &any, aws(), Flavour::Trust), Ok(false));
    let not_resource = one(&[("NotResource", r#""x""#)]);
    let both = one(&[("NotResource", r#""x""#), ("Resource", r#""*""#)]);
    assert_eq!(equivalent(&not_resource, &both, aws(), Flavour::Repository), Ok(false));
}

/// aws-facts C.2, last line: `null` statements, which crashed others.
#[test]
fn a_document_without_statements_compares_and_parses() {
    for text in ["{}", r#"{"Statement":null}"#, r#"{"Statement":[]}"#] {
        assert_eq!(equivalent(text, "{}", aws(), Flavour::Registry), Ok(true), "{text}");
        assert!(Document::parse(text).unwrap().is_empty(), "{text}");
    }
}
