//! What the operator needs, with objects that tenants make without anybody's leave.

use serde_json::{Value, json};

use crate::lab::Lab;
use crate::lab::objects::{pull, registry};

const MIB: usize = 1024 * 1024;

/// So many statements of 500 accounts and 100 repositories of 250 characters each.
fn large(namespace: &str, name: &str, statements: usize) -> Value {
    let accounts: Vec<String> = (0..500).map(|i| format!("{}", 700_000_000_000_u64 + i)).collect();
    let statement = |s: usize| {
        let repository = |r: usize| format!("team/{s:02}/{r:03}-{}", "x".repeat(238));
        json!({
            "name": format!("s{s}"), "principals": {"accountIds": accounts}, "actions": ["ecr:BatchGetImage"],
            "repositories": (0..100).map(repository).collect::<Vec<_>>(),
        })
    };
    let mut object = pull(namespace, name, "memory", "200000000001", "*");
    object["spec"]["statements"] = (0..statements).map(statement).collect();
    object
}

/// Behaviour 48: 32, 64, 160 and 643 KiB and a hundred of 300 KiB, all refused, under the limit that is shipped.
#[tokio::test]
async fn what_no_rule_lets_in_costs_the_operator_a_constant() {
    let lab = Lab::alone().await;
    let account = lab.account("100000004801");
    lab.own_namespace("memory").await;
    let operator = lab.operator();
    let mut home = registry("memory", &account);
    home["spec"]["allow"][0]["accountIds"] = json!(["200000000001"]);
    let good = pull("memory", "good", "memory", "200000000001", "team/*");
    lab.create_all([&home, &good]).await;
    lab.ready(&good).await;
    let before = operator.memory("VmRSS");

    let sizes = [1, 2, 5, 20].map(|statements| large("memory", &format!("large-{statements}"), statements));
    let many: Vec<_> = (0..100).map(|i| large("memory", &format!("many-{i:03}"), 9)).collect();
    for object in sizes.iter().chain(&many) {
        lab.create(object).await;
    }
    for object in sizes.iter().chain(&many) {
        lab.says(object, "False", "NotAllowed").await;
    }
    let also = pull("memory", "also", "memory", "200000000001", "also/*");
    lab.create(&also).await;
    lab.ready(&also).await;

    // The program's own text is mapped and counts as resident; what it is built with decides how much of it is.
    let text = operator.memory("RssFile");
    let (rest, most) = (operator.memory("VmRSS") - text, operator.memory("VmHWM") - text);
    assert!(rest <= 64 * MIB, "at rest: {} MiB, {} MiB before", rest / MIB, (before - text) / MIB);
    assert!(most <= 96 * MIB, "at most: {} MiB", most / MIB);
}
