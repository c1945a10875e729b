from django.shortcuts import render
from .models import Person

def people(request):
    last = request.GET.get("last")
    found = Person.objects.raw("SELECT * FROM person WHERE last_name = %s", [last])
    return render(request, "people.html", {"found": found})
