//! The text of a kubeconfig with a token in it: self-contained, so that it can be handed over as a string. It never
//! turns certificate checks off.

use data_encoding::BASE64;

/// One cluster, one user, one context.
pub(crate) fn text(url: &str, ca_pem: &[u8], user: &str, token: &str) -> String {
    let ca = BASE64.encode(ca_pem);
    format!(
        "apiVersion: v1
kind: Config
current-context: dev
contexts:
- name: dev
  context: {{cluster: dev, user: \"{user}\"}}
clusters:
- name: dev
  cluster:
    server: {url}
    certificate-authority-data: {ca}
users:
- name: \"{user}\"
  user: {{token: \"{token}\"}}
"
    )
}
