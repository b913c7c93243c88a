//! The simulated AWS over a socket, on a thread of its own, and one account of it with the words the tests need. Nothing
//! here is the operator's.

use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sim::{Connector, Trust, World, http};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{PATIENCE, REGION};

/// Where the operator's own credentials are of. It has no registry.
pub const HOME: &str = "999999999999";
pub const OPERATOR: &str = "arn:aws:iam::999999999999:role/operator";
pub const ACCESS_KEY: &str = "AKIAOPERATOR";
pub const EXTERNAL_ID: &str = "it-external";
pub const ROLE: &str = "ecr-permissions";
const BOUNDARY: &str = "ptc-boundary";

#[derive(Clone)]
pub struct Aws {
    pub connector: Connector,
    address: SocketAddr,
}

impl Aws {
    /// Serves from now on, for as long as the tests run.
    pub fn start() -> Self {
        Self::silent().serving()
    }

    /// An AWS that has an address where nobody listens yet.
    pub fn silent() -> Self {
        // The port is free again once the listener is dropped; the system gives it to nobody who asks for any.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { connector: Connector::new(world()), address }
    }

    pub fn serving(self) -> Self {
        let listener = TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let connector = self.connector.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                http::serve(listener, connector).await.unwrap();
            });
        });
        self
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn account(&self, id: &str) -> Account {
        self.connector.world(|world| {
            world.add_account(id);
            world.add_role(id, ROLE, trust());
            world.add_managed_policy(id, BOUNDARY, &boundary());
        });
        Account { aws: self.clone(), id: id.to_owned() }
    }

    pub fn world<T>(&self, with: impl FnOnce(&mut World) -> T) -> T {
        self.connector.world(with)
    }
}

/// The operator, and only with the external id.
pub fn trust() -> Trust {
    Trust { external_id: Some(EXTERNAL_ID.to_owned()), ..Trust::of([OPERATOR]) }
}

/// What bounds the roles of an account: nothing but ECR.
fn boundary() -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]}).to_string()
}

#[expect(clippy::disallowed_methods, reason = "the operator under test lives by the machine's clock")]
fn world() -> World {
    let mut world = World::new(8);
    world.set_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
    world.set_unset_scope(Some(aws_sim::Scope::V2));
    world.add_account(HOME);
    world.add_role(HOME, "operator", Trust::default());
    world.add_access_key(ACCESS_KEY, HOME, "role/operator");
    world
}

/// One account, in the one Region of these tests.
#[derive(Clone)]
pub struct Account {
    pub aws: Aws,
    pub id: String,
}

impl Account {
    pub fn boundary_arn(&self) -> String {
        format!("arn:aws:iam::{}:policy/{BOUNDARY}", self.id)
    }

    pub fn role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/{ROLE}", self.id)
    }

    /// The registry policy as stored.
    pub fn text(&self) -> Option<String> {
        self.aws.world(|world| world.policy_text(&self.id, REGION))
    }

    pub fn statements(&self) -> Vec<Value> {
        let policy: Value = self.text().map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        policy["Statement"].as_array().cloned().unwrap_or_default()
    }

    /// Somebody else writes the policy.
    pub fn put(&self, text: &str) {
        self.aws.world(|world| world.put_policy(&self.id, REGION, text));
    }

    /// Somebody else's statement, as the only one; answers how it stands there.
    pub fn put_foreign(&self) -> Value {
        let statement = json!({
            "Sid": "TheirsNotOurs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::333333333333:root"},
            "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
            "Resource": format!("arn:aws:ecr:{REGION}:{}:repository/theirs/*", self.id),
        });
        self.put(&json!({"Version": "2012-10-17", "Statement": [statement]}).to_string());
        self.statements().remove(0)
    }

    /// Whether an account may pull a repository.
    pub fn pulls(&self, who: &str, repository: &str) -> bool {
        self.aws.world(|world| world.would(who, "ecr:BatchGetImage", repository, &self.id, REGION).allowed)
    }

    /// Somebody puts credentials into Secrets Manager; answers the ARN.
    pub fn create_secret(&self, name: &str) -> String {
        self.aws.world(|world| world.create_secret(&self.id, REGION, name))
    }

    /// The rule of a cache, or null.
    pub fn cache_rule(&self, prefix: &str) -> Value {
        self.aws.world(|world| world.cache_rule(&self.id, REGION, prefix)).unwrap_or_default()
    }

    /// Whether an account may pull what a cache has to fetch.
    pub fn pulls_through(&self, who: &str, repository: &str) -> bool {
        self.aws.world(|world| world.would_pull_through(who, repository, &self.id, REGION).allowed)
    }

    /// How often an operation arrived with the account's credentials.
    pub fn count(&self, operation: &str) -> usize {
        self.aws.world(|world| {
            let mine = |call: &&aws_sim::Call| call.account.as_ref() == Some(&self.id) && call.operation == operation;
            world.calls().iter().filter(mine).count()
        })
    }

    pub fn writes(&self) -> usize {
        self.aws.world(|world| {
            world.calls().iter().filter(|call| call.is_write && call.account.as_ref() == Some(&self.id)).count()
        })
    }

    /// Waits for something that no object tells of.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "{what} did not happen; the policy is {:?}", self.text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
