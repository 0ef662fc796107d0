use super::*;

/// A source that knows one call, by one name.
struct OneCall {
    name: &'static str,
    orders: Mutex<Vec<String>>,
}

#[async_trait]
impl Hangup for OneCall {
    async fn controls(&self, _: OrganizationNumber) -> Result<bool, ControlError> {
        Ok(true)
    }

    async fn hang_up(&self, order: &Order) -> Result<Reply, ControlError> {
        self.orders.lock().unwrap().push(order.call.to_string());
        Ok(if order.call.as_str() == self.name { Reply::Taken } else { Reply::Gone })
    }
}

async fn order(known_as: &'static str) -> (Reply, Vec<String>) {
    let source = Arc::new(OneCall { name: known_as, orders: Mutex::default() });
    let name = SourceName::new("native").unwrap();
    let control = Control::new(
        HashMap::from([(name.clone(), Arc::clone(&source) as Arc<dyn Hangup>)]),
        Clock::system(),
    );
    let names = ["older", "younger"].map(|name| CallName::new(name).unwrap());
    let (key, organization, uuid) = (CallKey(1), OrganizationNumber(1), uuid::Uuid::nil());
    let head = CallHead { key, uuid, name: names[0].clone(), organization };
    let reply = control.hang_up(&head, &names, &[name]).await.unwrap();
    let orders = source.orders.lock().unwrap().clone();
    (reply, orders)
}

#[tokio::test]
async fn a_merged_call_is_hung_up_by_the_name_its_source_knows() {
    assert_eq!(order("older").await, (Reply::Taken, vec!["older".to_owned()]));
    let both = vec!["older".to_owned(), "younger".to_owned()];
    assert_eq!(order("younger").await, (Reply::Taken, both.clone()));
    assert_eq!(order("neither").await, (Reply::Gone, both));
}
