"""What the operator gives to a worker: the environment variable `REPACK_ORDER` of the Job's container."""

from pydantic import Field

from repack_contract.task import RepackageTask, Spec
from repack_contract.wire import Model

ORDER_VARIABLE = "REPACK_ORDER"


class WorkOrder(Model):
    """One attempt of one task. Nothing in it is secret: it stands in the Job's manifest."""

    uid: str
    namespace: str
    name: str
    attempt: int = Field(ge=1)
    spec: Spec

    @classmethod
    def of(cls, task: RepackageTask, *, attempt: int) -> "WorkOrder":
        """Return the order for the given attempt of a task."""
        metadata = task.metadata
        return cls(uid=metadata.uid, namespace=metadata.namespace, name=metadata.name, attempt=attempt, spec=task.spec)
