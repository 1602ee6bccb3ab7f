//! Tombolo's gRPC contracts: one module per package, generated from `proto/tombolo`.
//!
//! Start with `README.md` for the conventions, then `tombolo/query/v1/data_provider_service.proto`, the
//! contract on the hot path.
//! Messages are for the wire: services turn them into their own types where they arrive.

/// Every file descriptor of this crate, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Declares `module::v1` from the generated file of `package`.
macro_rules! package {
    ($module:ident, $package:literal) => {
        #[allow(missing_docs, clippy::all)]
        pub mod $module {
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    };
}

package!(add_in, "tombolo.add_in.v1");
package!(business_logic, "tombolo.business_logic.v1");
package!(capacity, "tombolo.capacity.v1");
package!(catalog, "tombolo.catalog.v1");
package!(dual_write, "tombolo.dual_write.v1");
package!(events, "tombolo.events.v1");
package!(gateway, "tombolo.gateway.v1");
package!(lifecycle, "tombolo.lifecycle.v1");
package!(organization, "tombolo.organization.v1");
package!(query, "tombolo.query.v1");
package!(user_context, "tombolo.user_context.v1");
