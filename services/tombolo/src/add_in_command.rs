//! `tombolo addin`: what can be installed in linked environments, and what is.

mod parameters;
mod show;

use anyhow::Result;
use proto::lifecycle::v1 as pb;
use serde_json::Value;
use tonic::Code;

use crate::cli::{AddInArgs, AddInCommand, ParameterArgs, WriteArgs};
use crate::client::{self, PAGE_SIZE, explain};
use crate::confirm;
use crate::follow;
use crate::names::resource;
use crate::print::{Output, Shown as _, plain};
use crate::system::{System, told};

struct AddIns {
    system: System,
    output: Output,
    write: WriteArgs,
}

pub(crate) async fn run(args: AddInArgs) -> Result<()> {
    use AddInCommand as It;
    let system = System::connect(&args.output.server).await?;
    let it = AddIns { system, output: args.output.output(), write: args.write };
    match args.command {
        It::List { environment } => it.list(environment).await,
        It::Show { name, environment } => it.show(&name, environment).await,
        It::Installed { environment } => it.installed(environment).await,
        It::Install { name, environment, parameters, agree } => {
            it.install(&name, &environment, parameters, agree).await
        }
        It::Configure { name, environment, parameters } => {
            it.configure(&name, &environment, parameters).await
        }
        It::Cancel { name, environment } => it.cancel(&name, &environment).await,
        It::Uninstall { name, environment, delete_data, confirm } => {
            it.uninstall(&name, &environment, delete_data, confirm).await
        }
    }
}

impl AddIns {
    async fn list(&self, environment: Option<String>) -> Result<()> {
        let platform_environment = self.platform(environment).await?;
        let mut client = self.system.add_ins();
        let add_ins = client::every(async |page_token| {
            let request = pb::ListAddInsRequest {
                page_size: PAGE_SIZE,
                page_token,
                platform_environment: platform_environment.clone(),
            };
            let page = client.list_add_ins(request).await?.into_inner();
            Ok((page.add_ins, page.next_page_token))
        });
        let add_ins = add_ins.await?;
        let was_checked = !platform_environment.is_empty();
        self.output.list(&add_ins, || show::add_ins(&add_ins, was_checked))
    }

    async fn show(&self, name: &str, environment: Option<String>) -> Result<()> {
        let platform_environment = self.platform(environment).await?;
        let name = resource("addIns", name);
        let installation = match platform_environment.as_str() {
            "" => None,
            it => self.installation(format!("{it}/{name}")).await?,
        };
        let request = pb::GetAddInRequest { name, platform_environment };
        let answer = self.system.add_ins().get_add_in(request).await.map_err(explain)?;
        let add_in = told(answer.into_inner().add_in)?;
        let for_programs = || {
            let mut it = add_in.json();
            if let Some(it) = it.as_object_mut() {
                let installation = installation.as_ref().map_or(Value::Null, |it| it.json());
                it.insert("installation".to_owned(), installation);
            }
            it
        };
        self.output.value(for_programs, || show::add_in(&add_in, installation.as_ref()))
    }

    async fn installed(&self, environment: Option<String>) -> Result<()> {
        let parent = match environment {
            Some(name) => self.system.platform_half(&name).await?,
            None => "platformEnvironments/-".to_owned(),
        };
        let mut client = self.system.add_ins();
        let installations = client::every(async |page_token| {
            let (parent, page_size) = (parent.clone(), PAGE_SIZE);
            let request = pb::ListAddInInstallationsRequest { parent, page_size, page_token };
            let page = client.list_add_in_installations(request).await?.into_inner();
            Ok((page.add_in_installations, page.next_page_token))
        });
        let installations = installations.await?;
        self.output.list(&installations, || show::installations(&installations))
    }

    async fn install(
        &self,
        name: &str,
        environment: &str,
        parameters: ParameterArgs,
        agree: bool,
    ) -> Result<()> {
        let parameters_json = parameters::read(&parameters, Value::Null)?;
        let parent = self.system.platform_half(environment).await?;
        let add_in = resource("addIns", name);
        let request =
            pb::GetAddInRequest { name: add_in.clone(), platform_environment: parent.clone() };
        let answer = self.system.add_ins().get_add_in(request).await.map_err(explain)?;
        let request = pb::InstallAddInRequest {
            parent,
            agreed: confirm::agreement(agree, &show::terms(&told(answer.into_inner().add_in)?))?,
            add_in,
            parameters_json,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.add_ins().install_add_in(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    /// Replaces what is given, and leaves the other parameters as they are.
    async fn configure(
        &self,
        name: &str,
        environment: &str,
        parameters: ParameterArgs,
    ) -> Result<()> {
        let name = self.installation_name(name, environment).await?;
        let request = pb::GetAddInInstallationRequest { name: name.clone() };
        let answer = self.system.add_ins().get_add_in_installation(request).await;
        let now = told(answer.map_err(explain)?.into_inner().add_in_installation)?;
        let before = serde_json::from_str(&now.parameters_json).unwrap_or_default();
        let request = pb::ConfigureAddInRequest {
            name,
            parameters_json: parameters::read(&parameters, before)?,
            etag: now.etag,
            idempotency_key: self.write.key(),
        };
        let answer = self.system.add_ins().configure_add_in(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    async fn cancel(&self, name: &str, environment: &str) -> Result<()> {
        let request = pb::CancelAddInInstallationRequest {
            name: self.installation_name(name, environment).await?,
            etag: String::new(),
            idempotency_key: self.write.key(),
        };
        let mut client = self.system.add_ins();
        let answer = client.cancel_add_in_installation(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    async fn uninstall(
        &self,
        add_in: &str,
        environment: &str,
        delete_data: bool,
        confirm: Option<String>,
    ) -> Result<()> {
        let name = self.installation_name(add_in, environment).await?;
        if delete_data {
            let what = format!("Removes {name} and everything that it stored");
            confirm::same_name(confirm, &what, plain(add_in))?;
        }
        let request = pb::UninstallAddInRequest {
            name,
            delete_data,
            etag: String::new(),
            idempotency_key: self.write.key(),
        };
        let answer = self.system.add_ins().uninstall_add_in(request).await.map_err(explain)?;
        self.begun(answer.into_inner().operation).await
    }

    async fn begun(&self, operation: Option<pb::Operation>) -> Result<()> {
        follow::begun(&self.system, self.output, self.write.no_wait, operation).await
    }

    async fn platform(&self, environment: Option<String>) -> Result<String> {
        match environment {
            Some(name) => self.system.platform_half(&name).await,
            None => Ok(String::new()),
        }
    }

    async fn installation_name(&self, add_in: &str, environment: &str) -> Result<String> {
        let platform = self.system.platform_half(environment).await?;
        Ok(format!("{platform}/{}", resource("addIns", add_in)))
    }

    async fn installation(&self, name: String) -> Result<Option<pb::AddInInstallation>> {
        let request = pb::GetAddInInstallationRequest { name };
        match self.system.add_ins().get_add_in_installation(request).await {
            Ok(answer) => Ok(answer.into_inner().add_in_installation),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(explain(status)),
        }
    }
}
