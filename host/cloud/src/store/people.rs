//! People: accounts of all sources, linked.

use raito_core::linking::{Account, LinkKey, LinkRule, People, link};
use raito_core::text::{ExternalId, Name, TargetName};

use super::{Store, StoreError, word};

fn unreadable<E>(_: E) -> StoreError {
    StoreError::Conflict("the store holds a text that is none of its kind".into())
}

impl Store {
    /// All accounts, by person.
    pub(crate) async fn people(&self) -> Result<People, StoreError> {
        let rows: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
            "select s.name, u.external_id, u.user_name, u.email from users u join sources s on s.id = u.source \
             where u.until_ms is null",
        )
        .fetch_all(&self.pool)
        .await?;
        let account = |(store, external_id, user_name, email): (String, String, String, Option<String>)| {
            Ok(Account {
                store: TargetName::new(store).map_err(unreadable)?,
                external_id: ExternalId::new(external_id).map_err(unreadable)?,
                user_name: Name::new(user_name).map_err(unreadable)?,
                email: email.map(Name::new).transpose().map_err(unreadable)?,
            })
        };
        let accounts = rows.into_iter().map(account).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(link(accounts, &self.link_rules().await?))
    }

    /// The keys of pairs of stores.
    pub(crate) async fn link_rules(&self) -> Result<Vec<LinkRule>, StoreError> {
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("select one, other, key from links order by one, other").fetch_all(&self.pool).await?;
        let rule = |(one, other, key): (String, String, String)| {
            let stores = [TargetName::new(one).map_err(unreadable)?, TargetName::new(other).map_err(unreadable)?];
            Ok(LinkRule { stores, key: serde_json::from_value(serde_json::Value::String(key))? })
        };
        rows.into_iter().map(rule).collect()
    }

    /// Keeps the key of a pair of stores.
    pub(crate) async fn set_link_rule(&self, stores: [&TargetName; 2], key: LinkKey) -> Result<(), StoreError> {
        self.check_room(0)?;
        let mut stores = stores;
        stores.sort();
        let _turn = self.turn().await;
        sqlx::query("insert into links values (?1, ?2, ?3) on conflict (one, other) do update set key = ?3")
            .bind(stores[0].as_str())
            .bind(stores[1].as_str())
            .bind(word(&key))
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}
