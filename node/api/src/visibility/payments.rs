//! The payments that are remembered, as one viewer sees them.

use stellar_xdr::Asset;

use super::{Seen, View};
use crate::activity::{Activity, Payment};
use crate::problem::Problem;

impl View<'_> {
    /// The payments that the viewer made or got, and those in its own assets; oldest first.
    ///
    /// **Errors**: the state cannot be read.
    pub(crate) fn payments(&self, activity: &Activity) -> Result<Vec<Seen<Payment>>, Problem> {
        let mut seen = Vec::new();
        for payment in activity.payments() {
            if self.sees_everything()
                || self.owns(&payment.from)?
                || self.owns(&payment.to)?
                || self.issues(&payment.asset)?
            {
                seen.push(Seen(payment.clone()));
            }
        }
        Ok(seen)
    }

    fn issues(&self, asset: &Asset) -> Result<bool, Problem> {
        let issuer = match asset {
            Asset::Native => return Ok(false),
            Asset::CreditAlphanum4(asset) => &asset.issuer,
            Asset::CreditAlphanum12(asset) => &asset.issuer,
        };
        Ok(self.owns(&issuer.into())?)
    }
}
