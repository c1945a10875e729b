import subprocess
from django.http import JsonResponse

def convert(request):
    name = request.POST.get("name")
    out = subprocess.check_output(f"convert {name} out.png", shell=True)  # expect: command-injection
    return JsonResponse({"n": len(out)})
