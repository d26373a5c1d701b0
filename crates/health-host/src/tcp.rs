//! TCP_CHECK: a connection is accepted.

use config::model::Connect;

use crate::{Done, connect};

pub(crate) async fn check(to: &Connect) -> Done {
    connect::tcp(to).await?;
    Ok(None)
}
