//! What is read from a `CustomResourceDefinition`.

use crate::Resource;
use crate::behaviours::{RECORD_CRD, WIDGET_CRD};

#[test]
fn the_selectable_fields_are_those_of_the_stored_version() {
    let record = Resource::from_crd_yaml(RECORD_CRD).unwrap();
    let expected = ["spec.accountId", "spec.region", "spec.namespace", "spec.priority", "spec.suspend"];
    assert_eq!(record.selectable_fields, expected);
    assert!(!record.namespaced && !record.status_subresource);
    assert!(Resource::from_crd_yaml(WIDGET_CRD).unwrap().selectable_fields.is_empty());
}

#[test]
fn a_selectable_field_that_could_not_be_found_is_refused() {
    for path in ["spec.region", ".spec.labels['a']", ".spec.regions[0]"] {
        let odd = RECORD_CRD.replace("jsonPath: .spec.region", &format!("jsonPath: \"{path}\""));
        let refusal = Resource::from_crd_yaml(&odd).unwrap_err().to_string();
        assert!(refusal.contains(path), "{refusal}");
    }
}
