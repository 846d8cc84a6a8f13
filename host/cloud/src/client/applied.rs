//! Applied states: what access code of a repository applied to a target last.

use raito_core::exchange::CloudError;
use raito_core::limits;
use raito_core::text::TargetName;
use reqwest::header::ETAG;
use reqwest::{Method, Response, StatusCode};

use super::{Client, if_match, refused, unreachable, whole};

/// What was applied last, and the version to be named by whoever writes the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedText {
    /// 0 where nothing was written yet.
    pub version: u64,
    /// The state as it was written; none where nobody can tell.
    pub text: Option<Vec<u8>>,
}

impl Client {
    /// What access code of a repository, such as `corp/access`, applied to a target last.
    ///
    /// # Errors
    /// `CloudError` where there is no good answer.
    pub async fn applied_state(&self, repository: &str, target: &TargetName) -> Result<AppliedText, CloudError> {
        let request = self.request(Method::GET, &path(repository, target));
        let response = self.send(request).await?;
        let version = version(&response)?;
        let text = whole(response, limits::APPLIED_STATE_BYTES).await?;
        Ok(AppliedText { version, text: (text != b"null").then_some(text) })
    }

    /// Keeps what was applied, or that nobody can tell, in place of what has this version. Gives the new version; none where
    /// another one was written meanwhile, so that nothing was kept.
    ///
    /// # Errors
    /// `CloudError` where there is no good answer.
    pub async fn keep_applied_state(
        &self,
        repository: &str,
        target: &TargetName,
        version: u64,
        state: Option<&[u8]>,
    ) -> Result<Option<u64>, CloudError> {
        let body = state.unwrap_or(b"null").to_vec();
        let request = self.request(Method::PUT, &path(repository, target));
        let request = if_match(request.header("content-type", "application/json").body(body), Some(version));
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        match response.status() {
            StatusCode::CONFLICT => Ok(None),
            status if status.is_success() => self::version(&response).map(Some),
            _ => Err(refused(response, self.origin).await),
        }
    }
}

/// What a repository may be called has no character that means something in a query (RFC 3986, section 3.4).
fn path(repository: &str, target: &TargetName) -> String {
    format!("/applied-states/{target}?repository={repository}")
}

/// The version that an entity tag names.
fn version(response: &Response) -> Result<u64, CloudError> {
    let tag = response.headers().get(ETAG).and_then(|value| value.to_str().ok());
    let number = tag.and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    number.ok_or_else(|| CloudError::Failed("its answer does not say which version it is of".into()))
}
